//! Guests written by hand: what no compiler would make, down to single bytes of what they return.
//!
//! A [`Crooked`] guest is a core module in WebAssembly's text format. It keeps to the interface where nothing else is
//! said: describes itself as `crooked`, ignores messages, formats to nothing. Addresses below [`CLEAN`] are its own and the host's.

use std::path::{Path, PathBuf};

use wit_component::StringEncoding;
use wit_parser::Resolve;

use crate::binary;

/// Where the host puts what it hands to the guest.
const HANDED: u32 = 4096;
/// The second page, and all after it, is zeros until the guest writes there.
pub const CLEAN: u32 = 64 << 10;
/// The description as it is described: two texts, and zeros for the lists and the absent schema.
const DESCRIPTION: u32 = 64;
/// What `on-message` returns: zeros, which are an `ok` of `ignore`.
const RESULT: u32 = 128;

/// A guest, by where it differs from a straight one.
pub struct Crooked {
    /// Pages of its memory, of 64 KiB.
    pub pages: u32,
    /// Anything at the module's level: tables, imports, a start function.
    pub module: &'static str,
    /// The body of `describe`, which answers the address of a description.
    pub describe: String,
    /// The body of `on-message`, which answers the address of a result.
    pub on_message: String,
}

impl Default for Crooked {
    fn default() -> Self {
        Self { pages: 1, module: "", describe: described(""), on_message: ignored("") }
    }
}

/// A body of `describe` that does this first; the description is at 64.
pub fn described(first: &str) -> String {
    format!("{first} (i32.const {DESCRIPTION})")
}

/// A body of `on-message` that does this and ignores the message.
pub fn ignored(first: &str) -> String {
    format!("{first} (i32.const {RESULT})")
}

/// A body of `on-message` that does this and replies with `count` parts that lie at `address`, both of them expressions.
pub fn replied(first: &str, address: &str, count: &str) -> String {
    let (decision, list, length) = (RESULT + 4, RESULT + 8, RESULT + 12);
    format!(
        "{first}
         (i32.store8 (i32.const {decision}) (i32.const 1))
         (i32.store (i32.const {list}) {address})
         (i32.store (i32.const {length}) {count})
         (i32.const {RESULT})"
    )
}

impl Crooked {
    /// Writes the guest as `<name>.wasm`: a core module with embedded WIT, as `wasm32-unknown-unknown` gives them.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let mut module = wat::parse_str(self.text()).expect("the guest's text is right");
        let mut resolve = Resolve::default();
        let wit = binary::repository().join("plugins/wit/v1");
        let (package, _) = resolve.push_dir(&wit).expect("the interface can be read");
        let world = resolve.select_world(&[package], Some("bot")).expect("the interface has this world");
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("the interface can be embedded");
        let path = folder.join(format!("{name}.wasm"));
        std::fs::write(&path, module).expect("the folder is writable");
        path
    }

    fn text(&self) -> String {
        let Self { pages, module, describe, on_message } = self;
        format!(
            r#"(module
              {module}
              (memory (export "memory") {pages})
              (global $free (mut i32) (i32.const {HANDED}))
              (data (i32.const 16) "crooked")
              (data (i32.const {DESCRIPTION}) "\10\00\00\00\07\00\00\00\10\00\00\00\07")
              (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
                (local $address i32)
                (local.set $address
                  (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $address) (local.get $size)))
                (local.get $address))
              (func (export "hearth:bot/handler@1.0.0#describe") (result i32) {describe})
              (func (export "hearth:bot/handler@1.0.0#on-message") (param $event i32) (result i32) {on_message})
              (func (export "hearth:bot/handler@1.0.0#format-reply") (param i32) (result i32)
                (i32.const {RESULT})))"#
        )
    }
}
