//! Chances that a seed repeats.

/// A sequence of numbers that the same seed makes again.
pub struct Chance(u64);

impl Chance {
    /// Begins the sequence of `seed`.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// Returns the next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns a number of a range, its last one excluded.
    pub fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + self.below(high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_chances() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            [(); 4].map(|()| chance.between((10, 20)))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(9).iter().all(|number| (10..20).contains(number)));
    }
}
