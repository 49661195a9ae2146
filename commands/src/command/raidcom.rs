//! `raidcom -login` and `-logout` (`cci` 2b.1, 6.3).

use std::io::{IsTerminal, stdin};

use model::{CciResult, Code, ids::BadWord};
use protocol::{
    horcm::{Reply, Request, Which},
    login::Password,
    logins,
};

use crate::{
    failure::{Failure, Outcome, not_there_yet, usage},
    parse::Typed,
    session::Session,
    table::{COMMON, Operands, Opt, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "raidcom",
    also: &[],
    about: "Logs a user in to a storage system and out",
    common: &[COMMON],
    options: &[
        Opt::words("login", 0, 2, "-login [user] [password]", "Specify to log in")
            .against(&["logout"]),
        Opt::flag("logout", "-logout", "Specify to log out"),
        Opt::words("s", 1, 1, "-s <Seq#>", "Specify the storage system").against(&["u"]),
        Opt::words("u", 1, 1, "-u <unitid>", "Specify the unit (default 0)"),
    ],
    operands: Some(Operands {
        shown: "[action object]",
        doc: "What to do with which object; not supported yet",
    }),
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    let at = which(session.command, typed)?;
    if let Some(action) = typed.operands().first() {
        return Err(not_there_yet(action, "this action").into());
    }
    if let Some(words) = typed.words("login") {
        logins::prepare(&session.world.home)?;
        let (user, password) = credentials(session, words, at)?;
        let request = Request::Login { at, user, password: Password(password) };
        let Reply::LoggedIn(login) = session.ask(&request)? else {
            return Err(session.unexpected().into());
        };
        logins::keep(&session.world.home, &login)?;
        return Ok(0);
    }
    if typed.has("logout") {
        let ended = session.order(&Request::Logout { at });
        // Who logs out is so here, whether or not anybody answers.
        let serial = serial_of(session, at);
        if let Ok(Some(serial)) = serial {
            logins::forget(&session.world.home, serial)?;
        }
        ended.and(serial)?;
        return Ok(0);
    }
    let wrong = "the command must be told what to do";
    Err(usage(session.command, Code::ExReqarg, "-login or -logout", wrong).into())
}

fn which(command: &str, typed: &Typed) -> CciResult<Which> {
    if let Some(word) = typed.word("s") {
        return word.parse().map(Which::Serial).map_err(|error: BadWord| {
            usage(command, Code::ExInvarg, &format!("-s {word}"), error.to_string())
        });
    }
    let word = typed.word("u").unwrap_or("0");
    word.parse().map(Which::Unit).map_err(|_| {
        let wrong = "expected a number from 0 to 255";
        usage(command, Code::ExInvarg, &format!("-u {word}"), wrong)
    })
}

/// Name and password: those typed, else those asked for. On a terminal the password is not shown;
/// elsewhere both are lines of standard input.
fn credentials(
    session: &mut Session<'_, '_>,
    words: &[String],
    at: Which,
) -> Result<(String, String), Failure> {
    let [user, password] = [words.first().cloned(), words.get(1).cloned()];
    let asks = stdin().is_terminal();
    let user = match user {
        Some(user) => user,
        None => {
            if asks {
                let serial = serial_of(session, at)?.map(|serial| serial.to_string());
                let serial = serial.unwrap_or_else(|| "-".to_owned());
                write!(session.out(), "User for Serial#[{serial}] : ")?;
                session.out().flush()?;
            }
            line(session)?
        }
    };
    let password = match password {
        Some(password) => password,
        None if asks => rpassword::prompt_password("Password :")?,
        None => line(session)?,
    };
    Ok((user, password))
}

fn line(session: &mut Session<'_, '_>) -> Result<String, Failure> {
    let Some(input) = &mut session.world.input else {
        let wrong = "standard input is the prompt's; the user and the password must be typed";
        return Err(usage(session.command, Code::ExReqarg, "-login", wrong).into());
    };
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn serial_of(session: &mut Session<'_, '_>, at: Which) -> CciResult<Option<model::Serial>> {
    let unit = match at {
        Which::Serial(serial) => return Ok(Some(serial)),
        Which::Unit(unit) => usize::from(unit),
    };
    let Reply::Units { units, .. } = session.ask(&Request::Units)? else {
        return Err(session.unexpected());
    };
    Ok(units.into_iter().nth(unit).flatten().map(|identity| identity.serial))
}

#[cfg(test)]
mod tests {
    use model::Serial;
    use protocol::login::{Login, Token};

    use super::*;
    use crate::fake::Fake;

    #[test]
    fn a_login_prints_nothing_and_is_kept() {
        let login = Login { serial: Serial::new(62_496).unwrap(), token: Token::random() };
        let mut fake = Fake::answering([Ok(Reply::LoggedIn(login))]);
        let ran = fake.run("raidcom", "-login ann sesame -s 62496 -IM51");
        assert_eq!((ran.code, ran.output.as_str(), ran.errors.as_str()), (0, "", ""));
        let (user, password) = ("ann".to_owned(), Password("sesame".to_owned()));
        let at = Which::Serial(login.serial);
        assert_eq!(fake.asked(), [Request::Login { at, user, password }]);
        let home = protocol::Home::at(fake.log.path().to_owned());
        assert_eq!(logins::all(&home), [login]);
    }

    #[test]
    fn a_logout_ends_here_whether_or_not_anybody_answers() {
        let login = Login { serial: Serial::new(62_496).unwrap(), token: Token::random() };
        let mut fake = Fake::failing(Code::ExAtthor.into());
        let home = protocol::Home::at(fake.log.path().to_owned());
        logins::keep(&home, &login).unwrap();
        let ran = fake.run("raidcom", "-logout -s 62496 -IM51");
        assert_eq!(ran.code, Code::ExAtthor.number(), "{}", ran.errors);
        assert_eq!(logins::all(&home), []);
    }

    #[test]
    fn at_the_prompt_nothing_is_taken_for_a_name_that_was_not_typed() {
        let mut fake = Fake::done();
        fake.input = "-login\n-login ann\n".to_owned();
        let ran = fake.run("raidcom", "-z -IM51");
        assert_eq!(ran.code, Code::ExReqarg.number(), "{}", ran.errors);
        assert!(ran.errors.contains("the prompt's"), "{}", ran.errors);
        assert!(fake.asked().is_empty(), "{:?}", fake.asked());
    }

    #[test]
    fn mistakes_ask_nothing() {
        for (line, code) in [
            ("", 254),
            ("get ldev", 210),
            ("-login a b -logout", 248),
            ("-login a b c", 210),
            ("-login a b -s x", 253),
            ("-logout -u 256", 253),
        ] {
            let mut fake = Fake::done();
            let ran = fake.run("raidcom", line);
            assert_eq!((ran.code, ran.output.as_str()), (code, ""), "{line}: {}", ran.errors);
            assert!(fake.asked().is_empty(), "{line}");
        }
    }
}
