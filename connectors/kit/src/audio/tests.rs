#![allow(clippy::unwrap_used, reason = "tests panic")]
use super::*;
use proptest::prelude::*;

/// A frame of MPEG 1 layer III at 44.1 kHz in stereo: of 32 kbit/s times the index of a rate.
fn frame(index: u8, fill: &[u8]) -> Vec<u8> {
    const KBIT: [usize; 15] = [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ];
    let bytes = 144 * KBIT[usize::from(index)] * 1_000 / 44_100;
    let mut frame = vec![0xFF, 0xFB, index << 4, 0];
    frame.extend_from_slice(fill);
    frame.resize(bytes, 0x55);
    frame
}

const K128: u8 = 9;
const K64: u8 = 5;

/// A tag of so many bytes, its head and foot apart.
fn id3(bytes: usize, footer: bool) -> Vec<u8> {
    let mut tag = b"ID3\x04\x00".to_vec();
    tag.push(if footer { 0x10 } else { 0 });
    tag.extend((0..4).rev().map(|at| (bytes >> (7 * at) & 0x7F) as u8));
    // What looks like frames in a picture is none.
    tag.extend(frame(K64, &[]).into_iter().cycle().take(bytes));
    if footer {
        tag.extend_from_slice(b"3DI\x04\x00\x10\0\0\0\0");
    }
    tag
}

/// A first frame that describes `frames` others.
fn describing(word: &[u8], flags: u32, frames: u32) -> Vec<u8> {
    let mut fill = vec![0; 32];
    fill.extend_from_slice(word);
    fill.extend(flags.to_be_bytes());
    fill.extend(frames.to_be_bytes());
    frame(K128, &fill)
}

fn probed(bytes: &[u8]) -> Audio {
    probe(&mut &*bytes).unwrap()
}

/// 26.122 ms a frame.
fn ms(frames: u64) -> u64 {
    frames * 1_152_000 / 44_100
}

#[test]
fn frames_of_one_rate() {
    let file = [
        id3(5_000, false),
        vec![0; 300],
        frame(K128, &[]).repeat(500),
    ]
    .concat();
    let expected = Audio {
        container: Container::Mp3,
        size_bytes: 5_310 + 500 * 417,
        header_bytes: 5_310,
        audio_bytes: 500 * 417,
        constant_rate: Some(128_000),
        duration_ms: ms(500),
        sampled: false,
    };
    assert_eq!(probed(&file), expected);
}

#[test]
fn tags_at_both_ends_are_no_sound() {
    let sound = frame(K128, &[]).repeat(20);
    let mut id3v1 = b"TAG".to_vec();
    id3v1.resize(128, b' ');
    let mut ape = vec![7; 68];
    ape.extend(b"APETAGEX\xD0\x07\0\0");
    ape.extend(100_u32.to_le_bytes());
    ape.extend([0; 16]);
    let file = [id3(300, true), id3(20, false), sound.clone(), ape, id3v1].concat();
    let found = probed(&file);
    assert_eq!(
        (found.header_bytes, found.audio_bytes),
        (350, sound.len() as u64)
    );
    assert_eq!(found.duration_ms, ms(20));
}

#[test]
fn the_first_frame_may_say_how_many_follow() {
    for (word, rate) in [(b"Info", Some(128_000)), (b"Xing", None)] {
        let file = [
            id3(100, false),
            describing(word, 1, 90_000),
            frame(K128, &[]).repeat(9),
        ]
        .concat();
        let found = probed(&file);
        assert_eq!(
            (found.header_bytes, found.duration_ms),
            (110 + 417, ms(90_000))
        );
        assert_eq!(found.constant_rate, rate);
    }
    // It says nothing: the others are counted.
    let file = [describing(b"Xing", 0, 0), frame(K128, &[]).repeat(9)].concat();
    assert_eq!(probed(&file).duration_ms, ms(9));
    let mut fill = vec![0; 32];
    fill.extend(b"VBRI\0\x01\0\0\0\0\0\0\0\0");
    fill.extend(77_u32.to_be_bytes());
    let found = probed(&[frame(K128, &fill), frame(K64, &[]).repeat(2)].concat());
    assert_eq!((found.duration_ms, found.constant_rate), (ms(77), None));
}

#[test]
fn frames_of_two_rates_with_dirt_between() {
    let file = [
        frame(K128, &[]).repeat(30),
        vec![1; 50],
        frame(K64, &[]).repeat(30),
    ]
    .concat();
    let found = probed(&file);
    assert_eq!((found.duration_ms, found.constant_rate), (ms(60), None));
    let rate = found.mean_rate();
    assert!((95_000..98_000).contains(&rate), "{rate}");
}

/// A file that is far, and how much of it was read.
struct Far<'a> {
    file: &'a [u8],
    read: u64,
}

impl Bytes for Far<'_> {
    fn size(&self) -> u64 {
        self.file.len() as u64
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read += buffer.len() as u64;
        self.file.read_at(at, buffer)
    }

    fn is_far(&self) -> bool {
        true
    }
}

#[test]
fn samples_do_where_all_have_one_rate() {
    let one = [id3(300, false), frame(K128, &[]).repeat(20_000)].concat();
    let mut far = Far {
        file: &one,
        read: 0,
    };
    let found = probe(&mut far).unwrap();
    let whole = probed(&one);
    assert!(found.sampled && !whole.sampled);
    assert_eq!(found.constant_rate, Some(128_000));
    assert!(found.duration_ms.abs_diff(whole.duration_ms) < 500);
    assert!(far.read < 1_500_000, "{}", far.read);
    // Frames of another rate, where a sample lies: every frame is read.
    let (many, others) = (
        frame(K128, &[]).repeat(10_000),
        frame(K64, &[]).repeat(9_000),
    );
    let two = [many, others].concat();
    let mut far = Far {
        file: &two,
        read: 0,
    };
    let found = probe(&mut far).unwrap();
    assert_eq!(found, probed(&two));
    assert_eq!((found.constant_rate, found.duration_ms), (None, ms(19_000)));
}

fn boxed(kind: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut all = (body.len() as u32 + 8).to_be_bytes().to_vec();
    all.extend_from_slice(kind);
    all.extend(body);
    all
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A track of a kind with samples of these sizes from this place on, in thousandths of a second.
fn track(kind: &[u8], at: u32, sizes: &[u32], ms: u32) -> Vec<u8> {
    let handler = boxed(b"hdlr", &[&words(&[0, 0]), kind, &[0; 12]]);
    let head = boxed(b"mdhd", &[&words(&[0, 0, 0, 1_000, ms, 0])]);
    let chunks = boxed(b"stco", &[&words(&[0, 1, at])]);
    let counted = [vec![0, 0, sizes.len() as u32], sizes.to_vec()].concat();
    let sizes = boxed(b"stsz", &[&words(&counted)]);
    let tables = boxed(b"minf", &[&boxed(b"stbl", &[&sizes, &chunks])]);
    boxed(b"trak", &[&boxed(b"mdia", &[&head, &handler, &tables])])
}

fn m4a(tables_first: bool) -> Vec<u8> {
    let start = boxed(b"ftyp", &[b"M4A \0\0\0\0"]);
    let sound = boxed(b"mdat", &[&[7; 900]]);
    let moov = |at| {
        let picture = track(b"vide", 5, &[1], 9);
        boxed(
            b"moov",
            &[&picture, &track(b"soun", at, &[400, 500], 61_500)],
        )
    };
    let length = moov(0).len() as u32;
    if tables_first {
        [start, moov(16 + length + 8), sound].concat()
    } else {
        [start, sound, moov(16 + 8)].concat()
    }
}

#[test]
fn m4a_with_its_tables_at_either_end() {
    for tables_first in [true, false] {
        let file = m4a(tables_first);
        let found = probed(&file);
        let sound_at = file.windows(9).position(|nine| nine == [7; 9]).unwrap();
        assert_eq!(found.header_bytes, sound_at as u64, "{tables_first}");
        assert_eq!((found.audio_bytes, found.duration_ms), (900, 61_500));
        assert_eq!(
            (found.container, found.constant_rate),
            (Container::M4a, None)
        );
    }
}

#[test]
fn what_is_no_sound_is_an_error() {
    let zeros = vec![0; 2 << 20];
    let tagged = [id3(100, false), vec![0; 500]].concat();
    for file in [
        &b""[..],
        b"RIFF",
        &zeros,
        &tagged,
        &m4a(true)[..60],
        &frame(K128, &[])[..200],
    ] {
        assert!(probe(&mut &*file).is_err());
    }
}

proptest! {
    #[test]
    fn any_damage_is_an_answer_or_an_error(at in 0..1_200_usize, bytes in prop::collection::vec(any::<u8>(), 1..40), cut in 0..1_400_usize) {
        let mp3 = [id3(60, true), describing(b"Xing", 1, 9), frame(K64, &[]).repeat(3)].concat();
        for mut file in [mp3, m4a(true), m4a(false)] {
            let at = at.min(file.len());
            let end = (at + bytes.len()).min(file.len());
            file.splice(at..end, bytes.iter().copied());
            file.truncate(cut.max(8));
            probe(&mut &*file).ok();
        }
    }
}
