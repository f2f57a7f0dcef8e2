//! On what kind of file system the data lies, and whether that keeps what it is given.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns what is to be feared of the file system of `path`, for a person; nothing of a good one.
#[must_use]
pub fn warning(path: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let path = fs::canonicalize(path).ok()?;
    let kind = kind_of(&mounts, &path)?;
    let fear = fear_of(&kind)?;
    Some(format!("{} lies on {kind}: {fear}", path.display()))
}

/// Returns the kind of the file system that `path` lies on, by the kernel's list of mounts.
#[must_use]
pub fn kind_of(mounts: &str, path: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = PathBuf::from(unescaped(mount.split(' ').nth(4)?));
        path.starts_with(&point).then(|| (point, file_system.split(' ').next().unwrap_or_default()))
    });
    // Of several at one point the last hides the others.
    let nearest = mounts.max_by_key(|(point, _)| point.components().count())?;
    Some(nearest.1.to_owned())
}

/// Returns why data is not safe on a kind of file system, if it is not.
#[must_use]
pub fn fear_of(kind: &str) -> Option<&'static str> {
    match kind {
        "tmpfs" | "ramfs" | "devtmpfs" => {
            Some("it is memory, and everything is gone when the machine stops")
        }
        "overlay" | "aufs" => Some(
            "it is the layer of a container, and everything is gone with the container; mount a \
             volume there",
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "9p" | "ceph" | "glusterfs" | "afs"
        | "virtiofs" => Some(
            "locks and syncs over a network may promise what they do not keep; use a disk of this \
             machine",
        ),
        _ if kind.starts_with("fuse") => {
            Some("nobody knows whether a sync reaches a disk there; use a disk of this machine")
        }
        _ => None, // The usual file systems of disks.
    }
}

/// The list writes a blank as `\\040`, and likewise a tabulator, a new line and a backslash.
fn unescaped(point: &str) -> String {
    let mut text = point.to_owned();
    for (code, letter) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        text = text.replace(code, letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 0:20 / / rw - overlay overlay rw\n\
        23 22 8:1 / /data rw shared:1 - ext4 /dev/sda1 rw\n\
        24 23 0:30 / /data/net\\040work rw - nfs4 box:/x rw\n\
        25 22 0:31 / /data rw - xfs /dev/sdb1 rw\n";

    #[test]
    fn the_nearest_mount_decides_and_of_two_at_one_place_the_later() {
        for (path, kind) in [
            ("/var/lib", "overlay"),
            ("/data/ergane", "xfs"),
            ("/data/net work/x", "nfs4"),
            ("/database", "overlay"),
        ] {
            assert_eq!(kind_of(MOUNTS, Path::new(path)).as_deref(), Some(kind), "{path}");
        }
        assert_eq!(kind_of("", Path::new("/")), None);
    }

    #[test]
    fn only_a_disk_of_the_machine_is_not_warned_of() {
        for kind in ["tmpfs", "overlay", "nfs4", "9p", "fuse.sshfs", "fuseblk"] {
            assert!(fear_of(kind).is_some(), "{kind}");
        }
        for kind in ["ext4", "xfs", "btrfs", "zfs", "f2fs"] {
            assert_eq!(fear_of(kind), None, "{kind}");
        }
    }
}
