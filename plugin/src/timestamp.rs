//! Points in time: read from ISO 8601, written as RFC 3339 in UTC.
//!
//! The accepted forms are fewer than ISO 8601's and more than RFC 3339's: calendar dates in extended (`2025-01-01T12:05:00`) or basic form
//! (`20250101T120500`), seconds and their fraction optional, the zone in any form, and no zone for UTC, as in DX's own examples.
//! Week dates, ordinal dates, hours alone and 24:00 are refused, since DX does not document that it reads them.

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike};

/// A point in time in UTC, to the nanosecond, within the years 0000 to 9999 that RFC 3339 can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(NaiveDateTime);

/// An error of reading a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimestampError {
    /// The text has no accepted form.
    Form,
    /// The date is not in the calendar.
    Day,
    /// The time of day does not exist.
    Time,
    /// The offset from UTC is too large.
    Zone,
    /// The time in UTC is outside the years 0000 to 9999.
    Range,
}

impl Timestamp {
    /// Reads a text that is an ISO 8601 timestamp and nothing else.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        Written::read(&mut Cursor(text.as_bytes()))?.timestamp()
    }

    /// Writes it in RFC 3339 with `Z`, without trailing zeros in the fraction of a second.
    pub fn to_rfc3339(self) -> String {
        // The length with nine digits of fraction.
        let mut text = String::with_capacity("2025-01-01T12:05:00.123456789Z".len());
        push_digits(&mut text, self.0.year().unsigned_abs(), 1000);
        text.push('-');
        push_digits(&mut text, self.0.month(), 10);
        text.push('-');
        push_digits(&mut text, self.0.day(), 10);
        text.push('T');
        push_digits(&mut text, self.0.hour(), 10);
        text.push(':');
        push_digits(&mut text, self.0.minute(), 10);
        text.push(':');
        push_digits(&mut text, self.0.second(), 10);
        let nanos = self.0.nanosecond();
        if nanos > 0 {
            text.push('.');
            push_digits(&mut text, nanos, 100_000_000);
            while text.ends_with('0') {
                text.pop();
            }
        }
        text.push('Z');
        text
    }
}

/// Appends the decimal digits of `value`, from the place of `unit` downwards.
fn push_digits(text: &mut String, value: u32, mut unit: u32) {
    while unit > 0 {
        text.push(char::from(b'0' + (value / unit % 10) as u8));
        unit /= 10;
    }
}

/// The numbers of a timestamp as they were written, in any size that their digits allow.
#[derive(Default)]
struct Written {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    /// True if the zone is west of UTC.
    west: bool,
    zone_hours: u32,
    zone_minutes: u32,
}

impl Written {
    fn read(input: &mut Cursor<'_>) -> Result<Self, TimestampError> {
        let mut written = Self {
            year: input.number(4)?,
            ..Self::default()
        };
        let extended = input.eat(b'-');
        written.month = input.number(2)?;
        if extended {
            input.expect(b'-')?;
        }
        written.day = input.number(2)?;
        if !input.ended() {
            input.expect(b'T')?;
            written.read_time(input, extended)?;
            written.read_zone(input)?;
        }
        if input.ended() {
            Ok(written)
        } else {
            Err(TimestampError::Form)
        }
    }

    /// Reads the time, which must have the form of the date.
    fn read_time(&mut self, input: &mut Cursor<'_>, extended: bool) -> Result<(), TimestampError> {
        self.hour = input.number(2)?;
        if extended {
            input.expect(b':')?;
        }
        self.minute = input.number(2)?;
        let seconds = if extended { input.eat(b':') } else { input.at_digit() };
        if seconds {
            self.second = input.number(2)?;
            if input.eat(b'.') || input.eat(b',') {
                self.nanos = input.fraction()?;
            }
        }
        Ok(())
    }

    /// Reads the zone, in either form after either form of the date, since CI systems mix them.
    fn read_zone(&mut self, input: &mut Cursor<'_>) -> Result<(), TimestampError> {
        if input.ended() || input.eat(b'Z') {
            return Ok(());
        }
        self.west = input.eat(b'-');
        if !self.west {
            input.expect(b'+')?;
        }
        self.zone_hours = input.number(2)?;
        if !input.ended() {
            input.eat(b':');
            self.zone_minutes = input.number(2)?;
        }
        Ok(())
    }

    fn timestamp(&self) -> Result<Timestamp, TimestampError> {
        let year = i32::try_from(self.year).map_err(|_| TimestampError::Range)?;
        let date = NaiveDate::from_ymd_opt(year, self.month, self.day).ok_or(TimestampError::Day)?;
        // Second 60 is the first of the next minute.
        let leap = self.second == 60;
        let second = if leap { 59 } else { self.second };
        let local = date
            .and_hms_nano_opt(self.hour, self.minute, second, self.nanos)
            .ok_or(TimestampError::Time)?;
        if self.zone_hours > 23 || self.zone_minutes > 59 {
            return Err(TimestampError::Zone);
        }
        let offset = i64::from(self.zone_hours * 3600 + self.zone_minutes * 60);
        TimeDelta::try_seconds(i64::from(leap) + if self.west { offset } else { -offset })
            .and_then(|shift| local.checked_add_signed(shift))
            .filter(|utc| (0..=9999).contains(&utc.year()))
            .map(Timestamp)
            .ok_or(TimestampError::Range)
    }
}

/// The rest of the text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn ended(&self) -> bool {
        self.0.is_empty()
    }

    fn at_digit(&self) -> bool {
        self.0.first().is_some_and(u8::is_ascii_digit)
    }

    /// Takes this byte if it is next, and returns true.
    fn eat(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((&first, rest)) if first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), TimestampError> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(TimestampError::Form)
        }
    }

    /// Takes a number of exactly `digits` digits; at most four, so it cannot overflow.
    fn number(&mut self, digits: u8) -> Result<u32, TimestampError> {
        let mut value = 0;
        for _ in 0..digits {
            match self.0.split_first() {
                Some((&digit, rest)) if digit.is_ascii_digit() => {
                    value = value * 10 + u32::from(digit - b'0');
                    self.0 = rest;
                }
                _ => return Err(TimestampError::Form),
            }
        }
        Ok(value)
    }

    /// Takes any number of digits as a fraction of a second, in nanoseconds; finer digits are dropped.
    fn fraction(&mut self) -> Result<u32, TimestampError> {
        let mut nanos = self.number(1)? * 100_000_000;
        let mut unit = 10_000_000;
        while self.at_digit() {
            nanos += self.number(1)? * unit;
            unit /= 10;
        }
        Ok(nanos)
    }
}
