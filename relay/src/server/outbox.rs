//! What the relay has to say to one leg.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::lock::lock;
use crate::protocol::control::RelayMessage;

/// A bounded queue with one reader. Empty, as a guest's nearly always is, it holds no memory.
#[derive(Debug)]
pub(crate) struct Outbox {
    messages: Mutex<VecDeque<RelayMessage>>,
    filled: Notify,
    max: usize,
}

impl Outbox {
    pub(crate) fn new(max: usize) -> Self {
        Self { messages: Mutex::default(), filled: Notify::new(), max }
    }

    /// Queues a message. Whether there was room: a leg that does not read what it is told cannot be kept.
    #[must_use]
    pub(crate) fn push(&self, message: RelayMessage) -> bool {
        let mut messages = lock(&self.messages);
        if messages.len() >= self.max {
            return false;
        }
        messages.push_back(message);
        self.filled.notify_one();
        true
    }

    /// The next message. Dropping the future loses nothing.
    pub(crate) async fn next(&self) -> RelayMessage {
        loop {
            if let Some(message) = self.pop() {
                return message;
            }
            self.filled.notified().await;
        }
    }

    fn pop(&self) -> Option<RelayMessage> {
        let mut messages = lock(&self.messages);
        let message = messages.pop_front();
        if messages.is_empty() {
            messages.shrink_to(0);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_in_order_up_to_the_bound() {
        let outbox = Outbox::new(2);
        assert!(outbox.push(RelayMessage::Welcome));
        assert!(outbox.push(RelayMessage::Draining));
        assert!(!outbox.push(RelayMessage::Waiting));
        assert_eq!(outbox.next().await, RelayMessage::Welcome);
        assert_eq!(outbox.next().await, RelayMessage::Draining);
        assert!(outbox.push(RelayMessage::Waiting));
    }
}
