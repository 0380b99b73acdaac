//! Anthropic Messages, piece by piece: what the folders of fixtures, which go through two dialects at once, do not show.

mod messages {
    mod answer;
    mod decode;
    mod decoder;
    mod encode;
    mod encoder;
    mod faults;
    mod grammar;
    mod relay;
    mod support;
}
