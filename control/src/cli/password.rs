//! Passwords from the terminal, unseen, or from standard input.

use adit_crypto::secret::SecretBytes;
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::io::{self, Stdin, Write as _};

/// No password is longer, in octets.
const MAX: usize = 1024;

/// Asks on the terminal, where what is typed does not show; or reads a line of standard input.
///
/// # Errors
/// What the terminal or the file says.
pub fn read(prompt: &str) -> io::Result<SecretBytes> {
    let stdin = io::stdin();
    if !isatty(&stdin) {
        return line(&stdin);
    }
    eprint!("{prompt}");
    io::stderr().flush()?;
    let hidden = Hidden::new(&stdin)?;
    let password = line(&stdin);
    drop(hidden);
    eprintln!();
    password
}

/// Whether a person types.
pub(super) fn from_terminal() -> bool {
    isatty(io::stdin())
}

/// Octet by octet: what is read ahead would stay in a buffer that nobody wipes, and the next line would be gone.
fn line(stdin: &Stdin) -> io::Result<SecretBytes> {
    let mut text = Vec::with_capacity(MAX);
    let mut octet = [0];
    while rustix::io::read(stdin, &mut octet)? == 1 && octet != *b"\n" {
        if text.len() == MAX {
            return Err(io::Error::other(format!("a password has at most {MAX} octets")));
        }
        text.extend(octet);
    }
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    Ok(SecretBytes::new(text))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<'a> {
    stdin: &'a Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn new(stdin: &'a Stdin) -> io::Result<Self> {
        let before = tcgetattr(stdin)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin, OptionalActions::Flush, &hidden)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _gone = tcsetattr(self.stdin, OptionalActions::Flush, &self.before);
    }
}
