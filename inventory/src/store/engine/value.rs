//! What goes into a statement and what comes out of a row: borrowed, so that the bytes of a report are not copied.

use jiff::Timestamp;

use super::{Answer, DatabaseError};

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) enum Value<'a> {
    Null,
    Integer(i64),
    /// Refused by the databases from 2^63 on.
    Unsigned(u64),
    Real(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// The values of a statement: `values![id, Some("x"), 7]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::store::engine::Value::from($value)),*] };
}
pub(in crate::store) use values;

macro_rules! from {
    ($($type:ty => |$value:ident| $make:expr;)*) => {
        $(impl<'a> From<$type> for Value<'a> {
            fn from($value: $type) -> Self { $make }
        })*
    };
}

from! {
    i64 => |value| Value::Integer(value);
    u64 => |value| Value::Unsigned(value);
    u32 => |value| Value::Integer(value.into());
    i32 => |value| Value::Integer(value.into());
    f64 => |value| Value::Real(value);
    bool => |value| Value::Integer(value.into());
    &'a str => |value| Value::Text(value);
    &'a String => |value| Value::Text(value);
    &'a [u8] => |value| Value::Bytes(value);
    &'a Vec<u8> => |value| Value::Bytes(value);
    &'a Option<String> => |value| Value::from(value.as_deref());
    // In milliseconds since 1970.
    Timestamp => |value| Value::Integer(value.as_millisecond());
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a, T> From<Option<T>> for Value<'a>
where
    Value<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// A type that a column can be read as.
pub(in crate::store) trait FromValue<'a>: Sized {
    /// What should be there.
    const EXPECTED: &'static str;
    /// Absent if the value is of another type or out of range.
    fn from_value(value: Value<'a>) -> Option<Self>;
}

macro_rules! read {
    ($($type:ty, $expected:literal => $pattern:pat => $make:expr;)*) => {
        $(impl<'a> FromValue<'a> for $type {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: Value<'a>) -> Option<Self> {
                match value { $pattern => $make, _ => None }
            }
        })*
    };
}

read! {
    i64, "whole number" => Value::Integer(n) => Some(n);
    u64, "whole number from 0 up" => Value::Integer(n) => u64::try_from(n).ok();
    u32, "whole number from 0 up" => Value::Integer(n) => u32::try_from(n).ok();
    usize, "whole number from 0 up" => Value::Integer(n) => usize::try_from(n).ok();
    f64, "number" => Value::Real(n) => Some(n);
    bool, "truth value" => Value::Integer(n) => Some(n != 0);
    &'a str, "text" => Value::Text(text) => Some(text);
    String, "text" => Value::Text(text) => Some(text.to_owned());
    &'a [u8], "bytes" => Value::Bytes(bytes) => Some(bytes);
    Vec<u8>, "bytes" => Value::Bytes(bytes) => Some(bytes.to_vec());
    Timestamp, "time" => Value::Integer(n) => Timestamp::from_millisecond(n).ok();
}

impl<'a, const N: usize> FromValue<'a> for [u8; N] {
    const EXPECTED: &'static str = "bytes of the right number";
    fn from_value(value: Value<'a>) -> Option<Self> {
        <&[u8]>::from_value(value)?.try_into().ok()
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn from_value(value: Value<'a>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

/// One row of an answer.
#[derive(Debug)]
pub(in crate::store) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// A column by its place, from 0.
    pub(in crate::store) fn get<'r, T: FromValue<'r>>(&'r self, column: usize) -> Answer<T> {
        T::from_value(self.value(column)?).ok_or(DatabaseError::Value { column, expected: T::EXPECTED })
    }

    /// A column of whatever type.
    pub(in crate::store) fn value(&self, column: usize) -> Answer<Value<'_>> {
        match self {
            Self::Sqlite(row) => super::sqlite::column(row, column),
            Self::Postgres(row) => super::postgres::column(row, column),
        }
    }
}
