//! Rooms of two: notes between the owner of a share and whoever holds a seat of it, by a verb that the share grants.
//!
//! What a recipient says is a call like any other, and decided as one. What is said is in memory alone; the record has its
//! hash.

use std::collections::VecDeque;
use std::sync::Arc;

use policy::{Alias, Call, MAX_NOTE, NOTE_TEXT, Passport, Run, SeatId, ShareId, Timestamp, Verb};
use sha2::{Digest as _, Sha256};
use wire::call::{Ending, Signed};
use wire::control::{Failure, Reply};
use wire::frame::{Refusal, Update};
use wire::note::{Author, NOTES_KEPT, NoteStatement, NoteView};
use wire::privsep::{ChannelId, ToBroker};

use super::Monitor;
use super::audit::{Durability, Event, Hex, Who};
use super::calls::At;
use super::failure::{not_found, refused, unavailable, usage};
use super::meter::Meter;
use super::permit::Asked;
use super::requests::no_share;
use super::resolver::Person;
use super::share::{Place, Share};
use crate::clock::Instants;

/// Notes a second in one room, of both together: people, and agents that take turns.
const NOTES: u32 = 10;

/// What was said of one seat.
pub(super) struct Room {
    notes: VecDeque<(NoteStatement, Signed)>,
    last: Timestamp,
    meter: Meter,
}

/// A note that is about to be left.
struct Word<'a> {
    seat: SeatId,
    author: Author,
    text: &'a str,
}

impl Room {
    fn new(now: Instants) -> Self {
        let meter = Meter::new(NOTES, now.boot);
        Self { notes: VecDeque::new(), last: Timestamp(0), meter }
    }
}

impl Monitor {
    /// Refuses a note that no room has a place for, before anything is decided of it.
    pub(super) fn check_note(&mut self, asked: &Asked, now: Instants) -> Result<(), Refusal> {
        let verb = self.policy.catalog().verb(&asked.call.verb);
        let Some(text) = verb.filter(|verb| is_note(verb)).and(said(&asked.call)) else {
            return Ok(());
        };
        let fits = (1..=MAX_NOTE).contains(&text.len());
        let admits = |share: &mut Share| share.room_of(asked.at.seat, now).meter.admits(now.boot);
        let limit = if !fits {
            format!("{MAX_NOTE} bytes of a note")
        } else if !self.shares.get_mut(&asked.at.share).is_some_and(admits) {
            format!("{NOTES} notes a second")
        } else {
            return Ok(());
        };
        self.refused(asked.at, &asked.call, &format!("{limit}: reached"), now);
        Err(Refusal::Busy { limit })
    }

    /// Leaves a note for the owner, whose call was decided.
    pub(super) fn leave_note(&mut self, at: At, call: &Call, now: Instants) -> Ending {
        let text = said(call).unwrap_or_default();
        let word = Word { seat: at.seat, author: Author::Recipient(at.id), text: &text };
        match self.say(at.share, &word, None, now) {
            Ok(()) => Ending::Exited(0),
            Err(fault) => Ending::NotStarted(fault),
        }
    }

    /// Leaves a note for a recipient.
    pub(super) fn note_for(
        &mut self,
        person: &Person,
        (id, to, text): (ShareId, Option<&Alias>, &str),
        now: Instants,
    ) -> Result<Reply, Failure> {
        self.theirs(person, id, "note", now)?;
        let share = self.shares.get_mut(&id).ok_or_else(|| no_share(id))?;
        let seat = addressee(share, to)?;
        let with = share.seat(seat).map(|seat| seat.recipient.to_string()).unwrap_or_default();
        if !(1..=MAX_NOTE).contains(&text.len()) {
            let message = format!("a note has 1 to {MAX_NOTE} bytes, not {}", text.len());
            return Err(usage(&message, "say it in several"));
        }
        if !share.room_of(seat, now).meter.admits(now.boot) {
            let message = format!("{NOTES} notes a second have been left there");
            return Err(refused(&message, "wait a moment"));
        }
        let is_granted = share
            .lease
            .scope
            .verbs()
            .into_iter()
            .any(|verb| self.policy.catalog().verb(verb).is_some_and(|verb| is_note(verb)));
        if !is_granted {
            return Err(refused(
                "this share has no notes: it grants no verb that leaves one",
                "`openscope share extend --verb` such a verb; `openscope capabilities` shows whether there is one",
            ));
        }
        let by = Self::person(person);
        self.say(id, &Word { seat, author: Author::Owner, text }, Some(by), now)
            .map_err(|why| unavailable(&format!("the note is not left: {why}"), "try again"))?;
        Ok(Reply::Done(format!("left for {with}")))
    }

    /// What was said in a share after a moment.
    pub(super) fn notes(
        &mut self,
        person: &Person,
        (id, after): (ShareId, Timestamp),
        now: Instants,
    ) -> Result<Reply, Failure> {
        self.theirs(person, id, "notes", now)?;
        let share = self.shares.get(&id).ok_or_else(|| no_share(id))?;
        let view = |(seat, (note, _)): (&SeatId, &(NoteStatement, Signed))| NoteView {
            with: share.seat(*seat).map(|seat| seat.recipient.to_string()).unwrap_or_default(),
            note: note.clone(),
        };
        let all = share
            .rooms
            .iter()
            .flat_map(|(seat, room)| room.notes.iter().map(move |note| (seat, note)));
        let mut notes: Vec<_> = all.filter(|(_, (note, _))| note.at > after).map(view).collect();
        notes.sort_by_key(|view| view.note.at);
        // As much as one answer holds; the rest is asked for from there on.
        notes.truncate(NOTES_KEPT);
        Ok(Reply::Notes(notes))
    }

    /// Puts a note on record and into its room, and tells those of the seat who may leave one as well.
    fn say(
        &mut self,
        id: ShareId,
        word: &Word<'_>,
        by: Option<Who>,
        now: Instants,
    ) -> Result<(), String> {
        let share = self.shares.get_mut(&id).ok_or("the share is gone")?;
        let read = share.now(now);
        let room = share.room_of(word.seat, now);
        let at = read.max(Timestamp(room.last.0.saturating_add(1)));
        room.last = at;
        let note = NoteStatement {
            share: id,
            seat: word.seat,
            at,
            author: word.author,
            text: word.text.to_owned(),
        };
        let signed = Signed::new(&note, self.identity.signing_key());
        let signed = signed.map_err(|fault| fault.to_string())?;
        let event = Event::NoteLeft {
            share: id,
            seat: word.seat,
            by,
            call: match word.author {
                Author::Owner => None,
                Author::Recipient(call) => Some(Hex(call.0)),
            },
            at,
            bytes: word.text.len() as u64,
            sha256: Hex(Sha256::digest(word.text).into()),
        };
        self.audit.record(event, now).map_err(|fault| fault.to_string())?;
        self.commit(Durability::Soon, now).map_err(|fault| fault.to_string())?;
        let hearing = self.hearing(id, word.seat, now);
        for channel in hearing {
            self.broker.send(&ToBroker::Noted { channel, note: signed.clone() }, &[]);
        }
        let share = self.shares.get_mut(&id).ok_or("the share is gone")?;
        let room = share.room_of(word.seat, now);
        if room.notes.len() >= NOTES_KEPT {
            room.notes.pop_front();
        }
        room.notes.push_back((note, signed));
        Ok(())
    }

    /// The channels of a seat whose holders may leave notes.
    fn hearing(&mut self, id: ShareId, seat: SeatId, now: Instants) -> Vec<ChannelId> {
        let Some(share) = self.shares.get(&id) else { return Vec::new() };
        let of_seat = share.channels.iter().filter(|(_, place)| place.seat == seat);
        let shown = |(channel, place): (&ChannelId, &Place)| {
            let passport = share.passport(&place.passport, (place.seat, place.holder))?;
            Some((*channel, passport))
        };
        let shown: Vec<_> = of_seat.filter_map(shown).collect();
        let hears = |(_, passport): &(ChannelId, Arc<Passport>)| {
            self.standing(id, seat, passport, now).is_ok_and(|standing| has_notes(&standing))
        };
        shown.into_iter().filter(hears).map(|(channel, _)| channel).collect()
    }

    /// What was said of a seat that stands so.
    pub(super) fn said_before(&self, id: ShareId, seat: SeatId, standing: &Update) -> Vec<Signed> {
        let share = self.shares.get(&id).filter(|_| has_notes(standing));
        let room = share.and_then(|share| share.rooms.get(&seat));
        room.map(|room| room.notes.iter().map(|(_, signed)| signed.clone()).collect())
            .unwrap_or_default()
    }
}

fn has_notes(standing: &Update) -> bool {
    standing.menu.iter().any(|entry| entry.notes)
}

impl Share {
    fn room_of(&mut self, seat: SeatId, now: Instants) -> &mut Room {
        self.rooms.entry(seat).or_insert_with(|| Room::new(now))
    }

    /// What an earlier life has said is gone; what is said from here on comes after it.
    pub(super) fn said_last(&mut self, seat: SeatId, at: Timestamp) {
        let opened = self.lease.opened;
        let room = self.room_of(seat, opened);
        room.last = room.last.max(at);
    }
}

fn addressee(share: &Share, to: Option<&Alias>) -> Result<SeatId, Failure> {
    let live: Vec<SeatId> = share.live_seats().map(|seat| seat.id).collect();
    match (to, live.as_slice()) {
        (Some(alias), _) => share.seat_for(alias).ok_or_else(|| {
            let message = format!("`{}` has no seat for `{alias}`", share.lease.id);
            not_found(&message, "`openscope share show` shows whom it is for")
        }),
        (None, [only]) => Ok(*only),
        (None, _) => Err(usage("the share has several recipients", "say to whom: `--to ALIAS`")),
    }
}

/// Whether it leaves a note.
pub(super) fn is_note(verb: &Verb) -> bool {
    matches!(verb.run, Run::Note)
}

fn said(call: &Call) -> Option<String> {
    let name = NOTE_TEXT.parse().ok()?;
    call.arguments.value(&name).map(ToString::to_string)
}
