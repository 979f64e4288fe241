//! What a file is, told before it is compiled: wasm or not, a plugin or not, and for which version of the interface.

use std::borrow::Cow;

use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

use super::LoadError;

/// The interface's package name.
const PACKAGE: &str = "hearth:bot/";
/// The interface every plugin exports.
const HANDLER: &str = "handler";
/// The version this host speaks: the major, and the newest minor of it.
const SUPPORTED: (u64, u64) = (1, 0);

/// Turns a file into a component that fits this host's interface. A core module with embedded WIT (what
/// `wasm32-unknown-unknown` gives) is encoded; a component is taken as it is.
pub(super) fn component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    if Parser::is_component(bytes) {
        check(bytes)?;
        return Ok(Cow::Borrowed(bytes));
    }
    if !Parser::is_core_wasm(bytes) {
        return Err(LoadError::NotWasm);
    }
    let component = ComponentEncoder::default()
        .validate(true)
        .module(bytes)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| LoadError::Malformed(format!("{error:#}")))?;
    check(&component)?;
    Ok(Cow::Owned(component))
}

/// Refuses a component for another version of the interface, or for none.
fn check(component: &[u8]) -> Result<(), LoadError> {
    let names = Names::of(component).map_err(|error| LoadError::Malformed(error.to_string()))?;
    if let Some(found) = names.versions().find(|version| !supported(version)) {
        return Err(LoadError::Version {
            found: found.to_owned(),
            supported: format!("{}.{}", SUPPORTED.0, SUPPORTED.1),
        });
    }
    if names.exports.iter().any(|name| interface(name).is_some_and(|(name, _)| name == HANDLER)) {
        Ok(())
    } else {
        Err(LoadError::NotAPlugin)
    }
}

/// What a component imports and exports, by name.
#[derive(Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Names {
    fn of(component: &[u8]) -> wasmparser::Result<Self> {
        let mut names = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        names.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        names.exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(names)
    }

    /// The versions of our package that are mentioned.
    fn versions(&self) -> impl Iterator<Item = &str> {
        self.imports
            .iter()
            .chain(&self.exports)
            .filter_map(|name| interface(name))
            .map(|(_, version)| version)
    }
}

/// Splits `hearth:bot/handler@1.0.0` into `handler` and `1.0.0`; none for a name of another package.
fn interface(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_prefix(PACKAGE)?;
    Some(name.split_once('@').unwrap_or((name, "")))
}

fn supported(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
    major == Some(SUPPORTED.0) && minor.is_some_and(|minor| minor <= SUPPORTED.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_not_wasm() {
        assert!(matches!(component(b"#!/bin/sh"), Err(LoadError::NotWasm)));
        assert!(matches!(component(b""), Err(LoadError::NotWasm)));
    }

    #[test]
    fn an_empty_component_is_no_plugin() {
        let empty = b"\0asm\x0d\0\x01\0";
        assert!(matches!(component(empty), Err(LoadError::NotAPlugin)));
    }

    #[test]
    fn a_truncated_component_is_malformed() {
        let cut = b"\0asm\x0d\0\x01\0\x0a";
        assert!(matches!(component(cut), Err(LoadError::Malformed(_))));
    }

    #[test]
    fn only_the_known_versions_are_supported() {
        assert!(supported("1.0.0"));
        assert!(supported("1.0.7"));
        for other in ["1.1.0", "2.0.0", "0.9.0", "", "1"] {
            assert!(!supported(other), "{other}");
        }
    }

    #[test]
    fn names_of_other_packages_are_passed_over() {
        assert_eq!(interface("hearth:bot/handler@1.0.0"), Some(("handler", "1.0.0")));
        assert_eq!(interface("hearth:bot/handler"), Some(("handler", "")));
        assert_eq!(interface("wasi:cli/environment@0.2.0"), None);
    }
}
