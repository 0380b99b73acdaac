//! Stands where a dialect's folder is about to.
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::*;

#[derive(Debug)]
pub(crate) struct Pending(pub(crate) &'static str);

impl Dialect for Pending {
    fn name(&self) -> &'static str {
        self.0
    }
    fn title(&self) -> &'static str {
        self.0
    }
    fn losses(&self) -> &'static [&'static Loss] {
        &[]
    }
    fn decode_request<'a>(&self, _: &'a str, _: &mut Losses) -> Result<Request<'a>, Vec<Detail>> {
        Err(Vec::new())
    }
    fn encode_request(&self, _: &Request<'_>, _: &Target<'_>, _: &mut BytesMut, _: &mut Losses) -> Result<Exchange, Vec<Detail>> {
        Err(Vec::new())
    }
    fn patch_request(&self, _: &[u8], _: &Members, _: &Target<'_>, _: &mut Edits) {}
    fn decoder(&self, _: &Exchange) -> Box<dyn Decoder> {
        unimplemented!()
    }
    fn encoder(&self, _: Stamp, _: AnswerOptions) -> Box<dyn Encoder> {
        unimplemented!()
    }
    fn encode_answer(&self, _: &Answer<'_>, _: &Stamp, _: &AnswerOptions, _: &mut BytesMut, _: &mut Losses) {}
    fn relay(&self, _: Stamp, _: AnswerOptions) -> Box<dyn Pipe> {
        unimplemented!()
    }
    fn decode_fault(&self, _: StatusCode, _: &HeaderMap, _: &Bytes) -> Fault {
        unimplemented!()
    }
    fn encode_fault(&self, _: &Fault, _: &str, _: &mut BytesMut) {}
    fn encode_fault_event(&self, _: &Fault, _: &str, _: &mut BytesMut) {}
    fn keep_alive(&self) -> &'static [u8] {
        b""
    }
    fn grammar(&self) -> Box<dyn Grammar> {
        unimplemented!()
    }
}
