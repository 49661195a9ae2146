//! Who is logged in. Sessions are in memory: with the array they end.

use std::collections::HashMap;

use model::{CciError, Code};
use protocol::login::Token;

use super::{User, UserRole, guessing::Guessing, rights::Need};

/// How many sessions there are at most; the one unused for longest makes room.
const MOST: usize = 1024;
/// How long a session lives without an order, in seconds.
const IDLE: u64 = 24 * 60 * 60;

/// A user's session.
#[derive(Debug)]
struct Session {
    user: String,
    roles: Vec<UserRole>,
    /// When it was last used, in seconds.
    used: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: HashMap<Token, Session>,
    /// Wrong passwords.
    pub guessing: Guessing,
}

impl Sessions {
    /// Begins a session; `now` is in seconds.
    pub fn begin(&mut self, user: &User, now: u64) -> Token {
        self.sessions.retain(|_, session| now.saturating_sub(session.used) < IDLE);
        if self.sessions.len() >= MOST
            && let Some(oldest) = self.sessions.iter().min_by_key(|(_, session)| session.used)
        {
            let oldest = *oldest.0;
            self.sessions.remove(&oldest);
        }
        let token = Token::random();
        let session = Session { user: user.name.clone(), roles: user.roles.clone(), used: now };
        self.sessions.insert(token, session);
        token
    }

    /// Ends a session, if it is one.
    pub fn end(&mut self, token: Token) {
        self.sessions.remove(&token);
    }

    /// Whether who shows this token may give an order of that need.
    ///
    /// # Errors
    /// EX_ENAUTH without a session, EX_EPPERM without the role.
    pub fn admit(&mut self, token: Option<Token>, need: Need, now: u64) -> Result<(), CciError> {
        if need == Need::Nothing {
            return Ok(());
        }
        let alive = |session: &&mut Session| now.saturating_sub(session.used) < IDLE;
        let session = token.and_then(|token| self.sessions.get_mut(&token)).filter(alive);
        let Some(session) = session else {
            let state = if token.is_some() { "the session is over" } else { "not logged in" };
            return Err(CciError::new(Code::ExEnauth)
                .object("the command device")
                .state(state)
                .cause("it asks for user authentication")
                .advice("log in: raidcom -login <user>"));
        };
        session.used = now;
        match need {
            Need::Role(role) if !session.roles.contains(&role) => {
                Err(CciError::new(Code::ExEpperm)
                    .object(format!("user {}", session.user))
                    .cause(format!("the user has not the role for this ({})", name(role)))
                    .advice("log in as another user"))
            }
            _ => Ok(()),
        }
    }
}

/// A role as the description of an array spells it.
const fn name(role: UserRole) -> &'static str {
    match role {
        UserRole::LocalCopy => "local-copy",
        UserRole::Provisioning => "provisioning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, roles: &[UserRole]) -> User {
        User { name: name.to_owned(), hash: String::new(), roles: roles.to_vec() }
    }

    const COPY: Need = Need::Role(UserRole::LocalCopy);

    #[test]
    fn a_session_may_what_its_roles_say() {
        let mut sessions = Sessions::default();
        let ann = sessions.begin(&user("ann", &[UserRole::LocalCopy]), 0);
        let bob = sessions.begin(&user("bob", &[]), 0);
        let mut code = |token, need| sessions.admit(token, need, 1).map_err(|error| error.code);
        assert_eq!(code(None, Need::Nothing), Ok(()));
        assert_eq!(code(None, Need::Session), Err(Code::ExEnauth));
        assert_eq!(code(Some(Token::random()), Need::Session), Err(Code::ExEnauth));
        assert_eq!((code(Some(ann), COPY), code(Some(bob), Need::Session)), (Ok(()), Ok(())));
        assert_eq!(code(Some(bob), COPY), Err(Code::ExEpperm));
        assert_eq!(code(Some(ann), Need::Role(UserRole::Provisioning)), Err(Code::ExEpperm));
        sessions.end(ann);
        assert_eq!(sessions.admit(Some(ann), COPY, 1).unwrap_err().code, Code::ExEnauth);
    }

    #[test]
    fn a_session_that_is_not_used_for_a_day_is_over() {
        let mut sessions = Sessions::default();
        let token = sessions.begin(&user("ann", &[UserRole::LocalCopy]), 0);
        sessions.admit(Some(token), COPY, IDLE - 1).unwrap();
        sessions.admit(Some(token), COPY, 2 * IDLE - 2).unwrap();
        let over = sessions.admit(Some(token), COPY, 3 * IDLE).unwrap_err();
        assert_eq!(over.code, Code::ExEnauth);
    }

    #[test]
    fn the_longest_unused_session_makes_room() {
        let mut sessions = Sessions::default();
        let first = sessions.begin(&user("ann", &[]), 0);
        let second = sessions.begin(&user("ann", &[]), 1);
        sessions.admit(Some(first), Need::Session, 2).unwrap();
        for _ in 0..MOST - 1 {
            sessions.begin(&user("ann", &[]), 3);
        }
        assert!(sessions.admit(Some(first), Need::Session, 4).is_ok());
        assert!(sessions.admit(Some(second), Need::Session, 4).is_err());
        assert_eq!(sessions.sessions.len(), MOST);
    }
}
