//! Just enough HTTP/1.1 to find where a message ends: the load generator and the upstream have to
//! cost far less than the proxies between them.

use anyhow::{bail, ensure};

/// A message that lies whole at the front of a buffer.
#[derive(Debug, PartialEq)]
pub struct Message {
    /// Of a response; 0 for a request.
    pub status: u16,
    pub head: usize,
    pub body: usize,
}

// === impl Message ===

impl Message {
    pub fn len(&self) -> usize {
        self.head + self.body
    }

    /// # Errors
    /// What is there is no response, or one whose length isn't announced.
    pub fn response(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(bytes)? else {
            return Ok(None);
        };
        let status = response.code.unwrap_or_default();
        whole(bytes, status, head, response.headers)
    }

    /// # Errors
    /// What is there is no request, or one whose body's length isn't announced.
    pub fn request(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = request.parse(bytes)? else {
            return Ok(None);
        };
        whole(bytes, 0, head, request.headers)
    }
}

fn whole(
    bytes: &[u8],
    status: u16,
    head: usize,
    headers: &[httparse::Header<'_>],
) -> anyhow::Result<Option<Message>> {
    let mut body = 0;
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            body = std::str::from_utf8(header.value)?.trim().parse()?;
            ensure!(body <= MAX_BODY, "a body of {body} bytes");
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("a chunked message");
        }
    }
    let message = Message { status, head, body };
    Ok((message.len() <= bytes.len()).then_some(message))
}

const MAX_HEADERS: usize = 64;
const MAX_BODY: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::Message;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

    #[test]
    fn a_message_is_found_only_once_it_is_whole() {
        for cut in 0..ANSWER.len() {
            assert_eq!(Message::response(&ANSWER[..cut]).unwrap(), None);
        }
        let found = Message::response(ANSWER).unwrap().unwrap();
        assert_eq!(
            (found.status, found.body, found.len()),
            (200, 3, ANSWER.len())
        );
    }

    #[test]
    fn what_follows_a_message_is_not_part_of_it() {
        let two = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
        assert_eq!(Message::request(two).unwrap().unwrap().len(), 27);
    }

    #[test]
    fn refuses_what_has_no_announced_length() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(Message::response(chunked).is_err());
        assert!(Message::response(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(Message::request(b"GET / HTTP/1.1\r\ncontent-length: 9999999\r\n\r\n").is_err());
    }
}
