//! Cookie dates (RFC 6265 §5.1.1): lenient, as browsers are.

/// Reads a date; Unix seconds. `None` for what is no date.
pub(crate) fn parse(text: &str) -> Option<i64> {
    const MONTHS: &str = "janfebmaraprmayjunjulaugsepoctnovdec";
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_delimiter = |c: char| !c.is_ascii_alphanumeric() && c != ':';
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        let number = token.parse::<i64>().ok();
        let name = token.get(..3).map(str::to_ascii_lowercase);
        if time.is_none() && token.contains(':') {
            time = Some(seconds_of(token)?);
        } else if day.is_none() && token.len() <= 2 && number.is_some() {
            day = number;
        } else if month.is_none()
            && let Some(at) = name.and_then(|name| MONTHS.find(&name))
        {
            month = Some(i64::try_from(at).ok()? / 3 + 1);
        } else if year.is_none() && number.is_some() {
            year = number;
        }
    }
    let year = match year? {
        short @ 0..=69 => 2000 + short,
        short @ 70..=99 => 1900 + short,
        year => year,
    };
    Some(days_since_1970(year, month?, day?) * 86_400 + time?)
}

fn seconds_of(time: &str) -> Option<i64> {
    let mut seconds = 0;
    for part in time.split(':') {
        seconds = seconds * 60 + part.parse::<i64>().ok()?;
    }
    Some(seconds)
}

/// Days from 1970-01-01, counted in years that begin in March so that a leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 719_469
}
