//! What a fresh session has to do before it is used: hear its unit attentions, learn what the LUN
//! is, and write again what was lost.

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use tokio::time::sleep;

use super::{
    cdb::{
        INQUIRY_ROOM, MODE_SENSE, READ_CAPACITY, SYNCHRONIZE_CACHE, TEST_UNIT_READY, inquiry,
        write, write_same,
    },
    facts::{Facts, PAGES},
    target::Target,
    unflushed::Content,
    verdict::{Refusal, Verdict, judge},
};

/// Times that a command is sent to a LUN that has news each time, or is busy.
const TRIES: usize = 50;
/// Commands of a replay that are on their way at once.
const AT_ONCE: usize = 16;

/// Why a session cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// Size or write protection became other ones meanwhile: what was asked before may be old.
    Changed,
    /// The array started anew meanwhile, or the LUN may be another one: what was written on this
    /// session and not flushed may be lost.
    Anew,
    /// Another one may be better.
    Later(String),
    /// The LUN will not take what it acknowledged before.
    Never(String),
}

impl Unready {
    /// In words.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Changed => "size or write protection changed meanwhile".to_owned(),
            Self::Anew => "the array started anew meanwhile".to_owned(),
            Self::Later(text) | Self::Never(text) => text,
        }
    }
}

/// Carries a command out once the LUN is not busy. News end it: each is told once, so that only
/// the caller can say what they make old.
async fn ask<T: Target>(
    session: &T::Session,
    cdb: &[u8],
    data: Bytes,
    read: u32,
) -> Result<Result<Bytes, Refusal>, Unready> {
    for _ in 0..TRIES {
        let reply = T::command(session, cdb, data.clone(), read).await.map_err(Unready::Later)?;
        match judge(&reply) {
            Verdict::Good => return Ok(Ok(reply.data)),
            Verdict::Refused(refusal) => return Ok(Err(refusal)),
            Verdict::Again(pause) => sleep(pause).await,
            Verdict::Changed => return Err(Unready::Changed),
            Verdict::Relogin => return Err(Unready::Anew),
        }
    }
    Err(busy())
}

fn busy() -> Unready {
    Unready::Later("the LUN stays busy or not ready".to_owned())
}

/// Waits until the LUN of a new session is ready and has told all its news, which are old:
/// nothing was asked or written on the session yet.
///
/// # Errors
/// [`Unready::Later`].
pub async fn ready<T: Target>(session: &T::Session) -> Result<(), Unready> {
    for _ in 0..TRIES {
        match ask::<T>(session, &TEST_UNIT_READY, Bytes::new(), 0).await {
            Err(Unready::Changed | Unready::Anew) => {}
            answer => return answer?.map(drop).map_err(|refusal| Unready::Later(refusal.why)),
        }
    }
    Err(busy())
}

/// Size and write protection, both as they are after the last change that was told.
///
/// # Errors
/// [`Unready::Anew`], [`Unready::Later`].
pub async fn look<T: Target>(session: &T::Session, facts: &mut Facts) -> Result<(), Unready> {
    for _ in 0..TRIES {
        match look_once::<T>(session, facts).await {
            Err(Unready::Changed) => {}
            looked => return looked,
        }
    }
    Err(busy())
}

async fn look_once<T: Target>(session: &T::Session, facts: &mut Facts) -> Result<(), Unready> {
    let capacity = ask::<T>(session, &READ_CAPACITY, Bytes::new(), 32).await?;
    let capacity = capacity.map_err(|refusal| Unready::Later(refusal.why))?;
    if !facts.take_capacity(&capacity) {
        return Err(Unready::Later("it tells no sensible capacity".to_owned()));
    }
    let modes = ask::<T>(session, &MODE_SENSE, Bytes::new(), 255).await?;
    // Without mode pages there is no protection to tell of.
    facts.protected = modes.is_ok_and(|data| data.get(2).is_some_and(|byte| byte & 0x80 != 0));
    Ok(())
}

/// What the LUN of a new session says about itself. Nothing was written on the session yet, so
/// that news of a restart only mean to ask for everything again.
///
/// # Errors
/// [`Unready::Later`].
pub async fn learn<T: Target>(session: &T::Session) -> Result<Facts, Unready> {
    for _ in 0..TRIES {
        match learn_once::<T>(session).await {
            Err(Unready::Changed | Unready::Anew) => {}
            learned => return learned,
        }
    }
    Err(busy())
}

async fn learn_once<T: Target>(session: &T::Session) -> Result<Facts, Unready> {
    let room = u32::from(INQUIRY_ROOM);
    let standard = ask::<T>(session, &inquiry(None), Bytes::new(), room).await?;
    let standard = standard.map_err(|refusal| Unready::Later(refusal.why))?;
    if standard.first() != Some(&0) {
        return Err(Unready::Later("there is no disk at that LUN".to_owned()));
    }
    let mut facts = Facts { inquiry: standard, ..Facts::default() };
    for page in PAGES {
        if let Ok(data) = ask::<T>(session, &inquiry(Some(page)), Bytes::new(), room).await? {
            facts.pages.push((page, data));
        }
    }
    let provisioning = ask::<T>(session, &inquiry(Some(0xb2)), Bytes::new(), room).await?;
    // LBPWS, and LBPRZ, without which unmapped blocks may read as anything.
    let bits = provisioning.ok().and_then(|page| page.get(5).copied()).unwrap_or(0);
    facts.unmaps = bits & 0x40 != 0 && bits & 0x1c != 0;
    look::<T>(session, &mut facts).await?;
    let limits = facts.page(0xb0).cloned().unwrap_or_default();
    facts.take_limits(&limits);
    Ok(facts)
}

/// Writes contents to their places, several at a time, and makes them durable.
///
/// # Errors
/// [`Unready::Never`] when the LUN refuses one; [`Unready::Changed`] and [`Unready::Anew`] when
/// it has news before all is durable. Commands may still be on their way then, so that only a
/// login, which ends them, may be followed by others.
pub async fn replay<T: Target>(
    session: &T::Session,
    facts: &Facts,
    kept: Vec<(u64, Content)>,
) -> Result<(), Unready> {
    let commands = kept.into_iter().flat_map(|(at, content)| pieces(facts, at, content));
    stream::iter(commands.map(Ok))
        .try_for_each_concurrent(AT_ONCE, |(cdb, data)| async move {
            settle(ask::<T>(session, &cdb, data, 0).await?)
        })
        .await?;
    settle(ask::<T>(session, &SYNCHRONIZE_CACHE, Bytes::new(), 0).await?)
}

fn settle(answer: Result<Bytes, Refusal>) -> Result<(), Unready> {
    answer.map(drop).map_err(|refusal| {
        Unready::Never(format!("writing again what was not flushed is refused: {}", refusal.why))
    })
}

/// The commands that leave a content at its place, in pieces that the LUN takes. Places are whole
/// blocks.
#[must_use]
pub fn pieces(facts: &Facts, at: u64, content: Content) -> Vec<([u8; 16], Bytes)> {
    let block = u64::from(facts.block);
    let blocks = |bytes: u64| u32::try_from(bytes / block).unwrap_or(u32::MAX);
    match content {
        Content::Bytes(bytes) => {
            let most = (facts.most_transfer / facts.block * facts.block) as usize;
            let parts = (0..bytes.len()).step_by(most.max(1)).map(|from| {
                let part = bytes.slice(from..bytes.len().min(from + most));
                (write((at + from as u64) / block, blocks(part.len() as u64)), part)
            });
            parts.collect()
        }
        Content::Zeros(length) => {
            let zeros = Bytes::from(vec![0; facts.block as usize]);
            let most = facts.most_same.max(block);
            let steps = (0..length.div_ceil(most)).map(|n| n * most);
            let parts = steps.map(|from| {
                let count = blocks((length - from).min(most));
                (write_same((at + from) / block, count, facts.unmaps), zeros.clone())
            });
            parts.collect()
        }
    }
}
