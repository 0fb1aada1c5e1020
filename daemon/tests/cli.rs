//! What `openscope` says without a daemon: help, usage errors, and that there is no daemon.

#[test]
fn the_command_line_says_what_is_written_down() {
    let cases = trycmd::TestCases::new();
    cases.env("TERM", "dumb").env("COLUMNS", "100").case("tests/cli/*.trycmd");
    cases.run();
}
