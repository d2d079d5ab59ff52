//! Numbers of pull requests.

use super::Unfit;

/// A whole number from 1. `false` and `0` say that there is none.
pub(crate) fn pr_number(text: &str) -> Result<String, Unfit> {
    const WRONG: Unfit = Unfit::Wrong("is not the number of a pull request");
    match text {
        "false" | "0" => Err(Unfit::Absent),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse::<i64>() {
            Ok(0) => Err(Unfit::Absent),
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(WRONG),
        },
        _ => Err(WRONG),
    }
}
