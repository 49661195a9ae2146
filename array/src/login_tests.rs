//! Logins through a command device: what a name tells, and what is refused.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{Argon2, password_hash::PasswordHasher};
use model::{CciError, Code};
use protocol::{
    Kind, RequestId, codec,
    login::{LONGEST_PASSWORD, Password, Token},
    orders::{Order, OrderAnswer, Reply},
};

use crate::{
    array::Array, clock::Clock, config, orders::carry_out, store::disk::Memory, users::Via,
};

struct Hand(AtomicU64);

impl Clock for Arc<Hand> {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// An array that knows ann by this password, at a time that stands still.
fn array(password: &str) -> Array {
    let hash = Argon2::default().hash_password(password.as_bytes()).unwrap();
    let toml = format!(
        "serial = 62496\n[[ldev]]\nldev = 16\nemulation = \"OPEN-V\"\nsize = \"1 MiB\"\n\
         [ipcmd]\nsecurity = {{ user_authentication = true }}\n\
         [[user]]\nname = \"ann\"\npassword_hash = \"{hash}\"\n"
    );
    let media = Memory::default();
    Array::create_on(&media, "a".as_ref(), &config::parse(&toml).unwrap()).unwrap();
    let clock = Arc::new(Hand(AtomicU64::new(1_700_000_000)));
    Array::open_on(Arc::new(media), "a".as_ref(), Box::new(clock)).unwrap()
}

fn log_in(array: &Array, user: &str, password: &str) -> Result<Token, CciError> {
    let order = Order::Login { user: user.to_owned(), password: Password(password.to_owned()) };
    let body = codec::encode(&(None::<Token>, order));
    let answer = carry_out(array, Via::Ipcmd, RequestId::random(), Kind::Change, &body, 4096);
    match codec::decode::<OrderAnswer>(&answer).unwrap() {
        Ok(Reply::LoggedIn(token)) => Ok(token),
        Ok(other) => panic!("{other:?}"),
        Err(refused) => Err(refused.error),
    }
}

/// What is said about a login that is refused, without the name.
fn refusal(array: &Array, user: &str) -> String {
    let error = log_in(array, user, "wrong").unwrap_err();
    assert_eq!(error.code, Code::ExEnauth);
    error.to_string().replace(user, "<user>")
}

#[test]
fn whether_a_name_has_to_wait_does_not_tell_whether_it_is_a_users() {
    let array = array("sesame");
    let said = |user| -> Vec<_> { (0..5).map(|_| refusal(&array, user)).collect() };
    let of_ann = said("ann");
    assert!(of_ann[4].contains("too many wrong passwords"), "{of_ann:?}");
    assert_eq!(said("nobody1"), of_ann);
    assert_eq!(said("nobody2"), of_ann, "the names of nobody do not wait for each other");
}

#[test]
fn a_password_longer_than_any_user_has_is_refused_unseen() {
    let long = "p".repeat(LONGEST_PASSWORD + 1);
    assert_eq!(log_in(&array(&long), "ann", &long).unwrap_err().code, Code::ExEnauth);
    let longest = "p".repeat(LONGEST_PASSWORD);
    assert!(log_in(&array(&longest), "ann", &longest).is_ok());
}
