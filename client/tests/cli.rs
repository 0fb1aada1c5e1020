//! What the program says before it talks to anybody: help, usage errors, and their JSON.

#[test]
fn the_command_line_says_what_is_written_down() {
    let cases = trycmd::TestCases::new();
    cases.env("TERM", "dumb").env("COLUMNS", "100").env("HOME", "/nowhere").env("NO_COLOR", "1");
    for name in ["OPENSCOPE_PASSPORT", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
        cases.env(name, "");
    }
    cases.case("tests/cli/*.trycmd");
    cases.run();
}
