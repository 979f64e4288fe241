//! What a file is, told before it is compiled: wasm or not, a plugin or not, for which version of the interface, and
//! whether it wants what no plugin gets.

use std::borrow::Cow;

use wasmparser::{Encoding, Instance, Parser, Payload};
use wit_component::ComponentEncoder;

use super::{
    LoadError, bounded,
    engine::{CORE_INSTANCES, MEMORIES, TABLES},
};

/// The interface's package name.
const PACKAGE: &str = "hearth:bot/";
/// The interface every plugin exports.
const HANDLER: &str = "handler";
/// The version this host speaks: the major, and the newest minor of it.
const SUPPORTED: (u64, u64) = (1, 0);
/// The packages of WASI 0.2 that are linked, with nothing behind them.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
/// Names in a message; a component may import any number.
const NAMES_SHOWN: usize = 5;

const WITHOUT_PREVIEW_1: &str =
    "build it with `hearth build`, or for the target wasm32-unknown-unknown or wasm32-wasip2";
const WITHOUT_HTTP: &str = "requests go through `hearth:bot/http`: build it with `hearth build`, or with componentize-js's \
                            features `http` and `fetch-event` disabled";
const OTHER_WASI: &str = "it offers WASI 0.2's cli, clocks, filesystem, io, random and sockets, without anything behind them: \
                          build it with `hearth build`, or with a compiler that targets those";
const WITHOUT_OTHERS: &str = "plugins import `hearth:bot`, and no other package but WASI 0.2";

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
    refuse(preview_1(bytes)?, WITHOUT_PREVIEW_1)?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(bytes)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| LoadError::Malformed(format!("{error:#}")))?;
    check(&component)?;
    Ok(Cow::Owned(component))
}

/// Refuses a component for another version of the interface, for none, or for more than it, and one that no slot can hold.
fn check(component: &[u8]) -> Result<(), LoadError> {
    let Outline { names, pieces } = Outline::of(component).map_err(|error| malformed(&error))?;
    pieces.check()?;
    if let Some(found) = names.versions().find(|version| !supported(version)) {
        return Err(LoadError::Version {
            found: bounded(found, 64).into_owned(),
            supported: format!("{}.{}.0", SUPPORTED.0, SUPPORTED.1),
        });
    }
    if !names.exports.iter().any(|name| interface(name).is_some_and(|(name, _)| name == HANDLER)) {
        let found =
            if names.exports.is_empty() { "nothing".to_owned() } else { shown(names.exports).join(", ") };
        return Err(LoadError::NotAPlugin { found });
    }
    let mut foreign = names.imports;
    foreign.retain(|name| interface(name).is_none() && !is_linked_wasi(name));
    let of_wasi: Vec<_> = foreign.extract_if(.., |name| name.starts_with("wasi:")).collect();
    let (http, wasi) = of_wasi.into_iter().partition(|name| name.starts_with("wasi:http/"));
    refuse(http, WITHOUT_HTTP)?;
    refuse(wasi, OTHER_WASI)?;
    refuse(foreign, WITHOUT_OTHERS)
}

fn refuse(found: Vec<String>, remedy: &'static str) -> Result<(), LoadError> {
    if found.is_empty() { Ok(()) } else { Err(LoadError::Foreign { found: shown(found), remedy }) }
}

/// Names, fit for a message.
fn shown(names: Vec<String>) -> Vec<String> {
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let names = names.into_iter().take(NAMES_SHOWN).map(|name| format!("`{}`", bounded(&name, 100)));
    names.chain((more > 0).then(|| format!("{more} more"))).collect()
}

/// Whether it is an interface of WASI 0.2, such as `wasi:cli/stdout@0.2.6`, that is linked.
fn is_linked_wasi(name: &str) -> bool {
    let of_package = |name: &str| WASI.iter().any(|package| name.split('/').next() == Some(package));
    let parts = name.strip_prefix("wasi:").and_then(|name| name.split_once('@'));
    parts.is_some_and(|(name, version)| of_package(name) && version.starts_with("0.2."))
}

/// The modules of WASI's first preview that a core module imports.
fn preview_1(module: &[u8]) -> Result<Vec<String>, LoadError> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(imports) = payload.map_err(|error| malformed(&error))? else { continue };
        for import in imports.into_imports() {
            let module = import.map_err(|error| malformed(&error))?.module;
            if module.starts_with("wasi_") && !found.iter().any(|found| found == module) {
                found.push(module.to_owned());
            }
        }
    }
    Ok(found)
}

fn malformed(error: &wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Malformed(error.to_string())
}

/// What is seen of a component in passing over its sections.
#[derive(Default)]
struct Outline {
    names: Names,
    pieces: Pieces,
}

/// What a component imports and exports, by name.
#[derive(Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

/// What a component is made of, all that is nested in it included.
#[derive(Default)]
struct Pieces {
    instances: u32,
    memories: u32,
    tables: u32,
}

impl Outline {
    fn of(component: &[u8]) -> wasmparser::Result<Self> {
        let Self { mut names, mut pieces } = Self::default();
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
                Payload::InstanceSection(section) => {
                    for instance in section {
                        pieces.instances += u32::from(matches!(instance?, Instance::Instantiate { .. }));
                    }
                }
                Payload::MemorySection(section) => pieces.memories += section.count(),
                Payload::TableSection(section) => pieces.tables += section.count(),
                _ => {}
            }
        }
        Ok(Self { names, pieces })
    }
}

impl Pieces {
    /// A component that instantiates the same component twice may have more than was counted; compiling tells then.
    fn check(&self) -> Result<(), LoadError> {
        let bounds = [
            ("core instances", self.instances, CORE_INSTANCES),
            ("memories", self.memories, MEMORIES),
            ("tables", self.tables, TABLES),
        ];
        match bounds.into_iter().find(|(_, found, limit)| found > limit) {
            Some((what, found, limit)) => Err(LoadError::Pieces { what, found, limit }),
            None => Ok(()),
        }
    }
}

impl Names {
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

    /// A component that imports and exports empty interfaces of these names.
    fn built(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let imports = imports.iter().map(|name| format!("(import \"{name}\" (instance))"));
        let exports = exports.iter().map(|name| format!("(export \"{name}\" (instance $empty))"));
        let (imports, exports) = (imports.collect::<String>(), exports.collect::<String>());
        wat::parse_str(format!("(component {imports} (instance $empty) {exports})")).unwrap()
    }

    fn refusal(imports: &[&str], exports: &[&str]) -> String {
        component(&built(imports, exports)).unwrap_err().to_string()
    }

    const OURS: &str = "hearth:bot/handler@1.0.0";

    #[test]
    fn a_component_for_this_version_is_taken_as_it_is() {
        let imports = ["hearth:bot/log@1.0.0", "wasi:cli/stdout@0.2.6", "wasi:sockets/tcp@0.2.0"];
        let fitting = built(&imports, &[OURS, "hearth:bot/toolbox@1.0.0"]);
        assert_eq!(component(&fitting).unwrap(), fitting);
    }

    #[test]
    fn a_component_for_another_version_is_refused_with_both_versions_and_the_remedy() {
        for version in ["0.9.0", "1.1.0", "2.0.0"] {
            for (imports, exports) in [
                (vec![], vec![format!("hearth:bot/handler@{version}")]),
                (vec![format!("hearth:bot/kv@{version}")], vec![OURS.to_owned()]),
                (vec![], vec![OURS.to_owned(), format!("hearth:bot/toolbox@{version}")]),
            ] {
                let (imports, exports): (Vec<_>, Vec<_>) = (
                    imports.iter().map(String::as_str).collect(),
                    exports.iter().map(String::as_str).collect(),
                );
                let refusal = refusal(&imports, &exports);
                for word in [version, "1.0.0", "hearth build", "hearth-plugin", "JavaScript or Python"] {
                    assert!(refusal.contains(word), "{version}: {word} is not in: {refusal}");
                }
            }
        }
    }

    #[test]
    fn a_component_for_another_world_is_told_what_it_exports_and_what_it_should() {
        for (exports, found) in [
            (&["wasi:cli/run@0.2.6"][..], "`wasi:cli/run@0.2.6`"),
            (&[], "nothing"),
            (&["hearth:bot/toolbox@1.0.0"], "`hearth:bot/toolbox@1.0.0`"),
            (
                &["hearth:bot/presenter@1.0.0", "hearth:bot/event-handler@1.0.0"],
                "`hearth:bot/event-handler@1.0.0`",
            ),
        ] {
            let refusal = refusal(&["wasi:http/types@0.2.6"], exports);
            assert!(refusal.contains(found) && refusal.contains("includes `hearth:bot/bot`"), "{refusal}");
        }
    }

    #[test]
    fn what_no_plugin_gets_is_named_with_the_way_without_it() {
        for (imports, named, remedy) in [
            (["wasi:http/outgoing-handler@0.2.6"], "wasi:http/outgoing-handler@0.2.6", "hearth:bot/http"),
            (["wasi:cli/stdout@0.3.0"], "wasi:cli/stdout@0.3.0", "WASI 0.2"),
            (["wasi:keyvalue/store@0.2.0-draft"], "wasi:keyvalue/store", "WASI 0.2"),
            (["acme:rockets/launch@1.0.0"], "acme:rockets/launch", "`hearth:bot`"),
        ] {
            let refusal = refusal(&imports, &[OURS]);
            assert!(refusal.contains(named) && refusal.contains(remedy), "{refusal}");
        }
    }

    #[test]
    fn a_module_for_wasis_first_preview_is_told_which_targets_fit() {
        let module = wat::parse_str(
            "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func))
                     (import \"wasi_snapshot_preview1\" \"fd_read\" (func)))",
        )
        .unwrap();
        let refusal = component(&module).unwrap_err().to_string();
        assert_eq!(refusal.matches("wasi_snapshot_preview1").count(), 1, "{refusal}");
        assert!(refusal.contains("wasm32-wasip2"), "{refusal}");
    }

    #[test]
    fn a_message_does_not_grow_with_the_component() {
        let many: Vec<_> = (0..1_000).map(|n| format!("acme:x/a{n}@1.0.0")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let refusal = refusal(&many, &[OURS]);
        assert!(refusal.contains("995 more") && refusal.len() < 500, "{refusal}");
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
