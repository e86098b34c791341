//! What agents do in a mailbox, as if it were an HTTP service: a method and a path, and JSON both
//! ways. One connection to a server for each call, always closed.

use std::time::Duration;

use ah5_contracts::connection::Mail;
use ah5_security::secret::SecretText;
use tokio::time::timeout;

use crate::imap::Session;
use crate::{Fault, Way, without};

pub use crate::imap::Keeper;
pub use answer::{Answer, Content};
pub use operation::{Operation, Request};
pub use outgoing::{About, Attached, Contents, How, Outgoing, contents};
pub use target::{canonical, folder as folder_of};

mod address;
mod answer;
mod attachment;
mod bounds;
mod delete;
mod disposition;
mod flags;
mod folders;
mod forward;
mod letter;
mod list;
mod message;
mod operation;
mod outgoing;
mod read;
mod reply;
mod search;
mod send;
mod target;
mod transfer;

/// Somebody's mailbox, for one call.
pub struct Mailbox<'a> {
    pub way: Way<'a>,
    pub servers: &'a Mail,
    pub password: &'a SecretText,
    /// The owner's address, and the name that goes with it.
    pub owner: &'a Owner,
    pub keeper: &'a mut dyn Keeper,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub address: String,
    pub name: Option<String>,
}

/// Why an operation ends early.
enum Stop {
    Answer(Answer),
    Fault(Fault),
}

type Step<T> = Result<T, Stop>;

// === impl Mailbox ===

impl Mailbox<'_> {
    /// # Errors
    /// What kept a server from answering; the password is not in it. What a server says no to is an
    /// answer.
    pub async fn run(self, operation: Operation) -> Result<Answer, Fault> {
        let password = self.password;
        let ran = timeout(DEADLINE, self.answer(operation)).await;
        let ran = ran.unwrap_or(Err(Stop::Fault(Fault::Late)));
        match ran {
            Ok(answer) | Err(Stop::Answer(answer)) => Ok(answer),
            Err(Stop::Fault(fault)) => without(password, Err(fault)),
        }
    }

    async fn answer(self, operation: Operation) -> Step<Answer> {
        match operation {
            Operation::Attachment(wanted) => attachment::attachment(self, wanted).await,
            Operation::CreateFolder(name) => folders::create(self, &name).await,
            Operation::DeleteFolder(name) => folders::delete(self, &name).await,
            Operation::DeleteMessage(which) => delete::delete(self, &which).await,
            Operation::Flags(which, change) => flags::change(self, &which, &change).await,
            Operation::Folders => folders::list(self).await,
            Operation::Forward(which, asked) => forward::forward(self, &which, asked).await,
            Operation::Message(which) => read::read(self, &which).await,
            Operation::Messages(page) => list::list(self, &page).await,
            Operation::Reply(which, asked) => reply::reply(self, &which, asked).await,
            Operation::Send(draft) => send::send(self, *draft).await,
            Operation::Transfer(which, to, kind) => {
                transfer::transfer(self, &which, &to, kind).await
            }
        }
    }

    async fn session(&mut self) -> Step<Session<'_>> {
        let server = &self.servers.imap;
        let session = Session::log_in(self.way, server, self.password, self.keeper);
        let mut session = session.await?;
        session.settle_in().await?;
        Ok(session)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Answer> for Stop {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// Work on a large letter, off the threads that serve everybody.
fn heavy<T>(size: usize, work: impl FnOnce() -> T) -> T {
    match size {
        ..LARGE => work(),
        _ => tokio::task::block_in_place(work),
    }
}

const LARGE: usize = 256 * 1024;
/// From the name's resolution to the last word.
const DEADLINE: Duration = Duration::from_secs(90);
