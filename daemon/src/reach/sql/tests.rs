//! Statements against files that are there, without a daemon around them.
