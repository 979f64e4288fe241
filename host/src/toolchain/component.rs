//! From the compiler's core module to a validated component.

use std::{fs, path::Path};

use wit_component::{ComponentEncoder, DecodedWasm};

use super::BuildError;

/// What a plugin exports, whatever its version.
const HANDLER: &str = "hearth:bot/handler@";

/// Reads a file that a build step left.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(|cause| BuildError::File { path: path.to_path_buf(), action: "read", cause })
}

/// The component of a core module that carries its interface, as `wit-bindgen` leaves it.
pub(super) fn encode(name: &str, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let refused =
        |cause: Box<dyn std::error::Error + Send + Sync>| BuildError::Encode { name: name.to_owned(), cause };
    let (_, interface) = wit_component::metadata::decode(module).map_err(|cause| refused(cause.into()))?;
    let exports = &interface.resolve.worlds[interface.world].exports;
    if !is_a_bot(exports.keys().map(|key| interface.resolve.name_world_key(key))) {
        return Err(BuildError::NoBot { name: name.to_owned() });
    }
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|cause| refused(cause.into()))
}

/// Refuses a finished component that is no plugin.
pub(super) fn check(name: &str, component: &[u8]) -> Result<(), BuildError> {
    let refused = |cause: String| BuildError::Encode { name: name.to_owned(), cause: cause.into() };
    if let DecodedWasm::Component(resolve, world) =
        wit_component::decode(component).map_err(|error| refused(format!("{error:#}")))?
        && is_a_bot(resolve.worlds[world].exports.keys().map(|key| resolve.name_world_key(key)))
    {
        return Ok(());
    }
    Err(BuildError::NoBotInWorld { name: name.to_owned() })
}

fn is_a_bot(mut exports: impl Iterator<Item = String>) -> bool {
    exports.any(|name| name.starts_with(HANDLER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest core module: its magic number and version, and nothing else.
    const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn a_module_without_a_bot_is_told_what_is_missing() {
        let error = encode("hollow", EMPTY_MODULE).unwrap_err();
        assert!(matches!(&error, BuildError::NoBot { name } if name == "hollow"), "{error:?}");
        assert!(error.to_string().contains("hearth_plugin::bot!"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_module_is_refused() {
        let error = encode("text", b"#!/bin/sh\necho hello\n").unwrap_err();
        assert!(matches!(error, BuildError::Encode { .. }), "{error:?}");
    }
}
