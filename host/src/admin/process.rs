//! What this process uses, by the kernel's word, under the names that every Prometheus client uses. What the system does
//! not tell (`/proc` is Linux's) is left out.

use std::fs;

/// What the process uses.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Process {
    /// Seconds, of the user's and the system's.
    cpu: Option<f64>,
    /// Seconds since 1970.
    started: Option<f64>,
    /// Bytes.
    resident: Option<f64>,
    /// Bytes.
    virtual_size: Option<f64>,
    open_files: Option<f64>,
    most_files: Option<f64>,
}

// === impl Process ===

impl Process {
    /// As it is now.
    pub(super) fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut process = Self::of(
            &read("/proc/self/stat"),
            &read("/proc/stat"),
            rustix::param::clock_ticks_per_second(),
            rustix::param::page_size(),
        );
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        #[expect(clippy::cast_precision_loss, reason = "no process has 2^53 files open")]
        {
            process.open_files = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
            process.most_files = limit.map(|limit| limit as f64);
        }
        process
    }

    /// What these two files say (proc(5)), with the units in which they say it.
    fn of(own: &str, all: &str, ticks: u64, page: usize) -> Self {
        // The program's name is the second field; it may hold spaces and brackets.
        let fields: Vec<&str> =
            own.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        // Fields are numbered from 1, and the rest begins with the third.
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<f64>().ok());
        let boot = all
            .lines()
            .find_map(|line| line.strip_prefix("btime "))
            .and_then(|time| time.trim().parse::<f64>().ok());
        #[expect(clippy::cast_precision_loss, reason = "these are 100 and 4096 or so")]
        let (ticks, page) = (ticks as f64, page as f64);
        Self {
            cpu: field(14).zip(field(15)).map(|(user, system)| (user + system) / ticks),
            started: field(22).zip(boot).map(|(start, boot)| boot + start / ticks),
            virtual_size: field(23),
            resident: field(24).map(|pages| pages * page),
            ..Self::default()
        }
    }

    /// Name, kind, meaning and value of what is known.
    pub(super) fn measures(self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, f64)> {
        let all = [
            ("process_cpu_seconds_total", "counter", "Processor time, in seconds.", self.cpu),
            (
                "process_start_time_seconds",
                "gauge",
                "When the process began, in seconds since 1970.",
                self.started,
            ),
            ("process_resident_memory_bytes", "gauge", "Memory that it holds, in bytes.", self.resident),
            (
                "process_virtual_memory_bytes",
                "gauge",
                "Address space that it has reserved, in bytes.",
                self.virtual_size,
            ),
            ("process_open_fds", "gauge", "Files and sockets that are open.", self.open_files),
            ("process_max_fds", "gauge", "How many may be.", self.most_files),
        ];
        all.into_iter().filter_map(|(name, kind, meaning, value)| Some((name, kind, meaning, value?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read() {
        let own = "77 (he (a) rth) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 17 18 1000 4096000 25 x";
        let process = Process::of(own, "cpu 1 2\nbtime 1700000000\n", 100, 4096);
        assert_eq!((process.cpu, process.started), (Some(3.0), Some(1_700_000_010.0)));
        assert_eq!((process.virtual_size, process.resident), (Some(4_096_000.0), Some(102_400.0)));
        assert_eq!(Process::of("", "", 100, 4096), Process::default());
        assert_eq!(Process::default().measures().count(), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let measures: Vec<_> = Process::look().measures().collect();
        assert_eq!(measures.len(), 6);
        assert!(
            measures.iter().all(|(name, .., value)| *value > 0.0 || name.contains("cpu")),
            "{measures:?}"
        );
    }
}
