//! Looks for a few members of an answer that is one JSON object, without keeping the rest of it.

use super::MAX_LINE;

/// Finds the members of an object that matter without keeping the rest of it. Of a list of objects the
/// last one counts.
#[derive(Default)]
pub struct Scan {
    depth: u32,
    /// How deep the objects are: 1 in a list of them.
    base: u32,
    in_text: bool,
    escaped: bool,
    /// The member's name that is coming, or came last, of the outermost object.
    name: Vec<u8>,
    /// The next text at this depth is a name.
    expects_name: bool,
    /// What is kept: the wanted members, as they were written.
    kept: Vec<u8>,
    keeps: bool,
}

// === impl Scan ===

impl Scan {
    pub fn push(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.take(byte);
        }
    }

    fn take(&mut self, byte: u8) {
        if self.in_text {
            self.take_text(byte);
            return;
        }
        match byte {
            b'"' => {
                self.in_text = true;
                if self.is_at_members() && self.expects_name {
                    self.name.clear();
                } else {
                    self.keep(byte);
                }
            }
            b'[' if self.depth == 0 => {
                self.base = 1;
                self.depth = 1;
            }
            b'{' if self.depth == self.base => {
                self.depth += 1;
                self.expects_name = true;
                self.keeps = false;
                self.kept.clear();
            }
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.keep(byte);
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth > self.base {
                    self.keep(byte);
                }
            }
            b',' if self.is_at_members() => {
                self.expects_name = true;
                self.keeps = false;
            }
            b':' if self.is_at_members() => self.begin_value(),
            _ if self.depth > self.base => self.keep(byte),
            _ => {}
        }
    }

    const fn is_at_members(&self) -> bool {
        self.depth == self.base + 1
    }

    fn take_text(&mut self, byte: u8) {
        let ends = byte == b'"' && !self.escaped;
        self.escaped = byte == b'\\' && !self.escaped;
        self.in_text = !ends;
        let is_name = self.is_at_members() && self.expects_name;
        if !is_name {
            self.keep(byte);
        } else if !ends && self.name.len() < MAX_NAME {
            self.name.push(byte);
        }
    }

    fn begin_value(&mut self) {
        self.expects_name = false;
        self.keeps = self.kept.len() < MAX_LINE && WANTED.contains(&self.name.as_slice());
        if self.keeps {
            let comma: &[u8] = if self.kept.is_empty() { b"" } else { b"," };
            let parts = [comma, b"\"", &self.name, b"\":"];
            self.kept.extend(parts.concat());
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.keeps && self.kept.len() < MAX_LINE {
            self.kept.push(byte);
        }
    }

    /// The members that are wanted, as an object.
    pub fn object(&self) -> Vec<u8> {
        [b"{", self.kept.as_slice(), b"}"].concat()
    }
}

const WANTED: [&[u8]; 4] = [b"model", b"modelVersion", b"usage", b"usageMetadata"];
const MAX_NAME: usize = 32;
