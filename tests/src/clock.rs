//! A clock that can be set for one process: something in front of the C library's `clock_gettime`, and a file that says by
//! how many seconds the time of day is off. Clocks that only measure stay as they are, as on a machine whose
//! time is corrected.

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::preload::Preload;

const SHIM: &str = r#"
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("HEARTH_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) offset = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    if (!failed && offset && clock == CLOCK_REALTIME) time->tv_sec += *offset;
    return failed;
}
"#;

/// The clock of processes that are started with its variables.
pub struct Clock {
    library: Preload,
    file: PathBuf,
    offset: std::fs::File,
}

impl Clock {
    /// A clock that is right. Its files are in this folder.
    ///
    /// # Panics
    /// If there is no C compiler, which building Hearth needs too.
    pub fn new(folder: &Path) -> Self {
        let (library, file) = (Preload::built(folder, "clock", SHIM), folder.join("clock"));
        std::fs::write(&file, 0_i64.to_ne_bytes()).expect("the folder is writable");
        let offset = std::fs::File::options().write(true).open(&file).expect("it was just written");
        Self { library, file, offset }
    }

    /// The variables, as the shell's `export` takes them.
    pub fn variables(&self) -> String {
        format!("{} HEARTH_TEST_CLOCK='{}'", self.library.variable(), self.file.display())
    }

    /// Sets the clock so many seconds off.
    pub fn set(&self, seconds: i64) {
        self.offset.write_all_at(&seconds.to_ne_bytes(), 0).expect("the file is writable");
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::SystemTime};

    use super::*;

    #[test]
    fn a_clock_that_is_set_shows_another_time() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::new(folder.path());
        for off in [0, 6 * 3600, -6 * 3600] {
            clock.set(off);
            let script = format!("export {}; exec date +%s", clock.variables());
            #[expect(clippy::disallowed_methods, reason = "a program that tells the time")]
            let told = Command::new("sh").args(["-c", &script]).output().unwrap();
            let told: i64 = String::from_utf8(told.stdout).unwrap().trim().parse().unwrap();
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            let seen = told - i64::try_from(now).unwrap();
            assert!((seen - off).abs() < 60, "{seen} instead of {off}");
        }
    }
}
