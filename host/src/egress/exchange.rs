//! One request and its answer over one connection, held to their sizes while they come in.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, StatusCode,
    body::{Body, Incoming},
    client::conn::http1,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::{BODY_LIMIT, Fault, connect::Stream};

/// What an answer's headers may have: how many, and bytes with the status line.
const ANSWER_HEADERS: (usize, usize) = (128, 64 << 10);
/// What a body may have before it is decompressed: gzip makes nothing much larger, and what it makes nothing of is work.
const RAW_LIMIT: usize = BODY_LIMIT + BODY_LIMIT / 8;

/// An answer whose body is still to come.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    /// Reads and writes while the answer is wanted.
    _connection: AbortOnDropHandle<()>,
}

/// Sends the request, and waits for the headers of its answer.
pub(super) async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Fault> {
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(ANSWER_HEADERS.0)
        .max_header_size(ANSWER_HEADERS.1)
        .max_buf_size(ANSWER_HEADERS.1)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // What it meets, the request and the body meet too.
        let _ = connection.await;
    }));
    let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
    if head.status.as_u16() > 599 {
        return Err(Fault::Broken { what: "the server answered with a status beyond 599", cause: None });
    }
    Ok(Answer { status: head.status, headers: head.headers, body, _connection: connection })
}

impl Answer {
    /// All of the body, decompressed. The headers that spoke of its compression go.
    pub(super) async fn body(&mut self) -> Result<Vec<u8>, Fault> {
        if self.body.size_hint().lower() > RAW_LIMIT as u64 {
            return Err(Fault::LargeBody);
        }
        let mut decoder = if self.body.is_end_stream() { Decoder::plain() } else { self.decoder()? };
        let mut raw = 0;
        while let Some(frame) = self.body.frame().await {
            let Ok(chunk) = frame.map_err(broken)?.into_data() else { continue };
            raw += chunk.len();
            if raw > RAW_LIMIT {
                return Err(Fault::LargeBody);
            }
            decoder.push(&chunk)?;
        }
        decoder.end()
    }

    fn decoder(&mut self) -> Result<Decoder, Fault> {
        let mut encodings = self.headers.get_all(CONTENT_ENCODING).iter();
        let encoding = match (encodings.next(), encodings.next()) {
            (None, _) => return Ok(Decoder::plain()),
            (Some(encoding), None) => encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase(),
            (Some(_), Some(_)) => String::new(),
        };
        match encoding.as_str() {
            "identity" => Ok(Decoder::plain()),
            "gzip" | "x-gzip" => {
                self.headers.remove(CONTENT_ENCODING);
                self.headers.remove(CONTENT_LENGTH);
                Ok(Decoder::Gzip(Box::new(MultiGzDecoder::new(Bounded::default()))))
            }
            _ => Err(Fault::Broken {
                what: "the server compressed its answer in a way that it was not asked for",
                cause: None,
            }),
        }
    }
}

/// Takes a body as it comes.
enum Decoder {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

/// Bytes up to the limit of a body.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Decoder {
    fn plain() -> Self {
        Self::Plain(Bounded::default())
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Plain(bounded) => bounded.write_all(chunk).map_err(|_| Fault::LargeBody),
            Self::Gzip(decoder) => {
                let written = decoder.write_all(chunk);
                written.map_err(|_| not_gzip(decoder.get_ref()))
            }
        }
    }

    fn end(self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes),
            Self::Gzip(mut decoder) => {
                let ended = decoder.try_finish();
                ended.map_err(|_| not_gzip(decoder.get_ref()))?;
                Ok(std::mem::take(&mut decoder.get_mut().bytes))
            }
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > BODY_LIMIT {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn not_gzip(decoded: &Bounded) -> Fault {
    if decoded.is_full {
        Fault::LargeBody
    } else {
        Fault::Broken { what: "the answer's body is not the gzip that it claims to be", cause: None }
    }
}

fn broken(error: hyper::Error) -> Fault {
    if error.is_parse_too_large() {
        return Fault::LargeHeaders;
    }
    let what = if error.is_parse() {
        "what the server answered is no HTTP"
    } else {
        "the connection broke before the answer was complete"
    };
    Fault::Broken { what, cause: Some(error) }
}
