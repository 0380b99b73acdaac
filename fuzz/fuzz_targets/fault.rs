#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = portcullis_fuzz::laws::law("fault")(input);
});
