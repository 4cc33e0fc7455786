//! What a node tells the others, as the keys and values that travel.
//!
//! | key | value |
//! |---|---|
//! | `o/LOAD-BALANCER/BACKEND` | what its own checks say, and since when |
//! | `l/LOAD-BALANCER/BACKEND` | the backend's chronicle, as it knows it |
//! | `s/LOAD-BALANCER/BACKEND` | the sessions that it has seen there in its last window |
//!
//! A backend goes by its hash, 16 digits. An empty value takes back what was said. Values are JSON
//! objects with short names. Not here: what is made of it (`state`). Invariants: what one version
//! writes all later ones read; what a later one adds is left alone, a key of another kind is
//! nobody's business.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::health::{Chronicle, Opinion, Stamp};
use crate::limits::SAYING_BYTES_MAX;

/// What something is said about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// The load balancer.
    pub load_balancer: Arc<str>,
    /// The hash of the backend's id.
    pub backend: u64,
}

/// What is said; `None` takes back what was said before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What the node's own checks say.
    Opinion(Option<Opinion>),
    /// When the backend lived.
    Chronicle(Option<Chronicle>),
    /// The sessions that were seen in the last window: the text of a [`crate::sticky::Sketch`].
    Sessions(Option<String>),
}

/// One thing that a node tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// About what.
    pub topic: Topic,
    /// What.
    pub said: Said,
}

/// A value that this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An opinion as it travels.
#[derive(Serialize, Deserialize)]
struct OpinionText {
    /// 1: well.
    w: u8,
    s: Moment,
}

/// A chronicle as it travels.
#[derive(Serialize, Deserialize)]
struct ChronicleText {
    /// Number, birth, death.
    l: Vec<(u32, Moment, Option<Moment>)>,
    /// From when, how much.
    w: Vec<(Moment, u32)>,
}

/// A stamp as it travels: wall time, counter, node.
type Moment = (u64, u32, u32);

impl Saying {
    /// The key by which it travels.
    pub fn key(&self) -> String {
        let kind = match self.said {
            Said::Opinion(_) => 'o',
            Said::Chronicle(_) => 'l',
            Said::Sessions(_) => 's',
        };
        let Topic {
            load_balancer,
            backend,
        } = &self.topic;
        format!("{kind}/{load_balancer}/{backend:016x}")
    }

    /// The value as which it travels.
    pub fn value(&self) -> String {
        match &self.said {
            Said::Opinion(Some(opinion)) => json(&OpinionText {
                w: u8::from(opinion.is_well),
                s: moment(opinion.since),
            }),
            Said::Chronicle(Some(chronicle)) => json(&ChronicleText::of(chronicle)),
            Said::Sessions(Some(sketch)) => sketch.clone(),
            Said::Opinion(None) | Said::Chronicle(None) | Said::Sessions(None) => String::new(),
        }
    }

    /// What a key and a value say; `None`: nothing of ours.
    ///
    /// # Errors
    /// If the key is ours and the rest cannot be read.
    pub fn read(key: &str, value: &str) -> Result<Option<Self>, Unreadable> {
        let Some((kind @ ("o" | "l" | "s"), rest)) = key.split_once('/') else {
            return Ok(None);
        };
        let unreadable = |what: &dyn fmt::Display| Unreadable(format!("{key}: {what}"));
        if value.len() > SAYING_BYTES_MAX {
            return Err(unreadable(&"too long"));
        }
        let (load_balancer, backend) = rest
            .rsplit_once('/')
            .ok_or_else(|| unreadable(&"no backend"))?;
        let backend = u64::from_str_radix(backend, 16).map_err(|error| unreadable(&error))?;
        let topic = Topic {
            load_balancer: Arc::from(load_balancer),
            backend,
        };
        let damaged = |error: serde_json::Error| unreadable(&error);
        let said = match kind {
            "o" => Said::Opinion(read(value).map_err(damaged)?.map(OpinionText::opinion)),
            "l" => Said::Chronicle(read(value).map_err(damaged)?.map(ChronicleText::chronicle)),
            _ => Said::Sessions(Some(value.to_owned()).filter(|text| !text.is_empty())),
        };
        Ok(Some(Self { topic, said }))
    }

    /// The latest moment of which it tells.
    pub fn latest(&self) -> Stamp {
        match &self.said {
            Said::Opinion(Some(opinion)) => opinion.since,
            Said::Chronicle(Some(chronicle)) => chronicle.latest(),
            Said::Opinion(None) | Said::Chronicle(None) | Said::Sessions(_) => Stamp::default(),
        }
    }
}

impl OpinionText {
    fn opinion(self) -> Opinion {
        Opinion {
            is_well: self.w == 1,
            since: stamp(self.s),
        }
    }
}

impl ChronicleText {
    fn of(chronicle: &Chronicle) -> Self {
        let lives = chronicle.lives().iter();
        let weights = chronicle.weights().iter();
        Self {
            l: lives
                .map(|life| (life.number, moment(life.born), life.died.map(moment)))
                .collect(),
            w: weights
                .map(|&(from, weight)| (moment(from), weight))
                .collect(),
        }
    }

    fn chronicle(self) -> Chronicle {
        let lives = self.l.into_iter();
        let weights = self.w.into_iter();
        Chronicle::of(
            lives.map(|(number, born, died)| (number, stamp(born), died.map(stamp))),
            weights.map(|(from, weight)| (stamp(from), weight)),
        )
    }
}

fn moment(stamp: Stamp) -> Moment {
    (stamp.wall_ms, stamp.counter, stamp.node)
}

fn stamp((wall_ms, counter, node): Moment) -> Stamp {
    Stamp {
        wall_ms,
        counter,
        node,
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and lists are valid JSON")
}

/// `None` for an empty text.
fn read<T: for<'t> Deserialize<'t>>(value: &str) -> Result<Option<T>, serde_json::Error> {
    match value {
        "" => Ok(None),
        _ => serde_json::from_str(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::health::chronicles;

    fn saying(said: Said) -> Saying {
        let topic = Topic {
            load_balancer: Arc::from("eu-west-1/web"),
            backend: 0x0123_4567_89ab_cdef,
        };
        Saying { topic, said }
    }

    /// Written by the first version that had nodes; all later ones read them.
    #[test]
    fn what_the_first_version_wrote_is_read() {
        let at = |wall_ms| Stamp {
            wall_ms,
            counter: 2,
            node: 7,
        };
        let well = Opinion {
            is_well: true,
            since: at(1000),
        };
        let mut lived = Chronicle::default();
        lived.begin(at(10));
        lived.end(at(20));
        let cases = [
            (
                "o/eu-west-1/web/0123456789abcdef",
                r#"{"w":1,"s":[1000,2,7]}"#,
                Said::Opinion(Some(well)),
            ),
            (
                "l/eu-west-1/web/0123456789abcdef",
                r#"{"l":[[1,[10,2,7],[20,2,7]]],"w":[[[10,2,7],1]]}"#,
                Said::Chronicle(Some(lived)),
            ),
            ("o/eu-west-1/web/0123456789abcdef", "", Said::Opinion(None)),
        ];
        for (key, value, said) in cases {
            let saying = saying(said);
            assert_eq!(
                (saying.key().as_str(), saying.value().as_str()),
                (key, value)
            );
            assert_eq!(Saying::read(key, value), Ok(Some(saying)));
        }
    }

    #[test]
    fn what_a_later_version_adds_is_left_alone() {
        assert_eq!(Saying::read("z/web/1", "anything"), Ok(None));
        let more = r#"{"w":0,"s":[1,2,3],"why":"refused"}"#;
        assert!(matches!(Saying::read("o/web/1", more), Ok(Some(_))));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let long = "1".repeat(SAYING_BYTES_MAX + 1);
        for (key, value) in [
            ("o/web", ""),
            ("o/web/x", ""),
            ("o/web/1", "{"),
            ("l/web/1", r#"{"l":7}"#),
            ("o/web/1", &long),
        ] {
            assert!(Saying::read(key, value).is_err(), "{key} {value}");
        }
    }

    proptest! {
        #[test]
        fn a_chronicle_is_read_as_it_was(chronicle in chronicles()) {
            let told = saying(Said::Chronicle(Some(chronicle)));
            prop_assert!(told.value().len() <= SAYING_BYTES_MAX);
            prop_assert_eq!(Saying::read(&told.key(), &told.value()), Ok(Some(told)));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(key in "[olz]/[a-z/]{0,8}/[0-9a-g]{0,18}", value in ".{0,60}") {
            drop(Saying::read(&key, &value));
        }
    }
}
