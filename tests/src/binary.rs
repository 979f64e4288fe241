//! The `hearth` binary, built when it is first needed.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository")
}

/// The path of `hearth`, up to date.
pub fn path() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "the tests build the binary that they run")]
        let mut cargo = Command::new(env!("CARGO"));
        // Of the workspace, and with a test, so that dependencies keep the features that `cargo test` gave them.
        cargo
            .args(["build", "--quiet", "--locked", "--workspace"])
            .args(["--bin", "hearth", "--test", "frozen_interface"])
            .args((!cfg!(debug_assertions)).then_some("--release"))
            .current_dir(repository());
        // What `cargo test` tells of the package whose tests run is no part of the environment: a build script that asks for it
        // (ring's) would run again, and all that stands on its crate be built again, each time.
        let of_a_package = |name: &str| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
        for (name, _) in std::env::vars().filter(|(name, _)| of_a_package(name)) {
            cargo.env_remove(name);
        }
        let built = cargo.status().expect("cargo runs");
        assert!(built.success(), "hearth does not build");
        let tests = std::env::current_exe().expect("a test knows its own path");
        tests.ancestors().nth(2).expect("tests are in target/<profile>/deps").join("hearth")
    })
}

/// The guest of that name, built by `tests/run`.
pub fn guest(name: &str) -> PathBuf {
    let folder = std::env::var_os("HEARTH_TEST_GUESTS").expect(
        "HEARTH_TEST_GUESTS is not set: these tests run from tests/run, which builds the guests first",
    );
    Path::new(&folder).join(format!("{name}.wasm"))
}
