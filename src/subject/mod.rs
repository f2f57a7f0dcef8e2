//! The appliance as somebody outside sees it: its own binary as a child, real HTTP, and the machine
//! that both are on.

pub mod appliance;
pub mod machine;
pub mod wire;
