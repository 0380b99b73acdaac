//! OpenAI Chat Completions, piece by piece: what the folders of fixtures do not show.

mod chat {
    mod faults;
    mod grammar;
    mod losses;
    mod stream;
}
