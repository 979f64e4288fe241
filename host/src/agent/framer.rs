//! Cuts an agent's output into lines: whatever the chunks, the same lines come out, and memory stays bounded.
//!
//! Empty lines are dropped and a `\r` before the newline is cut off. A line longer than the limit is skipped and
//! counted; what follows it is read as usual. What stands after the last newline is never a line.

/// The longest line taken, in bytes. A line of the CLI carries whole tool results, hundreds of KiB at times.
pub const LINE_LIMIT: usize = 16 << 20;

/// A buffer that one long line has blown up beyond this is given back once the line is done.
const KEPT_CAPACITY: usize = 64 << 10;

/// Cuts one stream of output into lines.
#[derive(Debug)]
pub struct Framer {
    limit: usize,
    line: Vec<u8>,
    /// `line` was handed out as a whole line; it goes at the next call.
    handed_out: bool,
    /// The current line is longer than the limit; what is left of it is thrown away.
    skipping: bool,
    ended: u64,
    overlong: u64,
}

impl Framer {
    /// Takes lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), handed_out: false, skipping: false, ended: 0, overlong: 0 }
    }

    /// Takes bytes off the front of `chunk` until a line is complete; none when the chunk is used up.
    pub fn next_line(&mut self, chunk: &mut &[u8]) -> Option<&[u8]> {
        if self.handed_out {
            self.handed_out = false;
            self.line.clear();
            self.line.shrink_to(KEPT_CAPACITY);
        }
        while !chunk.is_empty() {
            let newline = memchr::memchr(b'\n', chunk);
            let (piece, rest) = match newline {
                Some(at) => (&chunk[..at], &chunk[at + 1..]),
                None => (*chunk, &[][..]),
            };
            *chunk = rest;
            self.append(piece);
            if newline.is_some() && self.ends_with_content() {
                self.handed_out = true;
                return Some(&self.line);
            }
        }
        None
    }

    /// How many lines have ended so far, skipped ones included: a sign of life.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// How many lines were longer than the limit.
    pub fn overlong(&self) -> u64 {
        self.overlong
    }

    /// Whether the output so far stops in the middle of a line.
    pub fn is_mid_line(&self) -> bool {
        self.skipping || (!self.handed_out && !self.line.is_empty())
    }

    fn append(&mut self, piece: &[u8]) {
        if self.skipping {
            return;
        }
        if self.line.len() + piece.len() > self.limit {
            self.skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    /// Ends the current line; whether something is in it that can be handed out.
    fn ends_with_content(&mut self) -> bool {
        self.ended += 1;
        if std::mem::take(&mut self.skipping) {
            self.overlong += 1;
            return false;
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        !self.line.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every line of `chunks`, and the framer after them.
    fn lines_of<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Framer) {
        let mut framer = Framer::new(limit);
        let mut lines = Vec::new();
        for mut chunk in chunks {
            while let Some(line) = framer.next_line(&mut chunk) {
                lines.push(line.to_vec());
            }
        }
        (lines, framer)
    }

    #[test]
    fn a_line_ends_at_its_newline_and_empty_ones_are_dropped() {
        let (lines, framer) = lines_of(100, [&b"one\n\r\n\ntwo\r\nthr"[..], &b"ee\nhalf"[..]]);
        assert_eq!(lines, [&b"one"[..], b"two", b"three"]);
        assert_eq!(framer.ended(), 5);
        assert!(framer.is_mid_line());
    }

    #[test]
    fn an_overlong_line_is_skipped_and_counted_and_the_next_one_is_read() {
        let (lines, framer) = lines_of(4, [&b"fine\ntoo "[..], &b"long"[..], &b" by far\nnext\n"[..]]);
        assert_eq!(lines, [&b"fine"[..], b"next"]);
        assert_eq!(framer.overlong(), 1);
        assert!(!framer.is_mid_line());
    }

    #[test]
    fn output_that_ends_in_an_overlong_line_is_mid_line() {
        let (lines, framer) = lines_of(4, [&b"endless"[..]]);
        assert!(lines.is_empty());
        assert!(framer.is_mid_line());
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(
            output in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            size in 1_usize..20,
            limit in 0_usize..40,
        ) {
            let (whole, at_once) = lines_of(limit, [&output[..]]);
            let (pieces, chunked) = lines_of(limit, output.chunks(size));
            prop_assert_eq!(&whole, &pieces);
            prop_assert_eq!(at_once.overlong(), chunked.overlong());
            prop_assert_eq!(at_once.ended(), chunked.ended());
            prop_assert_eq!(at_once.is_mid_line(), chunked.is_mid_line());

            let expected: Vec<Vec<u8>> = output
                .split_inclusive(|byte| *byte == b'\n')
                .filter_map(|line| line.strip_suffix(b"\n"))
                .filter(|line| line.len() <= limit)
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
                .filter(|line| !line.is_empty())
                .collect();
            prop_assert_eq!(whole, expected);
        }

        #[test]
        fn memory_stays_within_the_limit(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..30),
            limit in 0_usize..1000,
        ) {
            let mut framer = Framer::new(limit);
            for chunk in &chunks {
                let mut rest = &chunk[..];
                while framer.next_line(&mut rest).is_some() {}
                prop_assert!(framer.line.len() <= limit);
                // A vector doubles when it grows.
                prop_assert!(framer.line.capacity() <= (2 * limit).max(16));
            }
        }
    }
}
