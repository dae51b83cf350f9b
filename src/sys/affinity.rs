//! The affinity mask: sched_getaffinity(2).

use std::io;

/// CPUs in the affinity mask of this thread that are active.
///
/// The raw call, with room for 65,536 CPUs: glibc's fixed set fails with EINVAL from 1,025 possible CPUs on.
pub fn cpus() -> io::Result<u32> {
    let mut mask = [0_u64; 1024];
    // SAFETY: the kernel writes at most the given number of bytes; sched_getaffinity(2).
    let bytes = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr()) };
    if bytes < 0 { Err(io::Error::last_os_error()) } else { Ok(mask.iter().map(|word| word.count_ones()).sum()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_mask_has_at_least_the_cpu_that_asks() {
        assert!(super::cpus().unwrap() >= 1);
    }
}
