//! Masking of personal data for lists, walls and pages (`张*`, `张*三`, `138****0000`).

/// 张三 -> 张*, 张小三 -> 张*三, 欧阳明远 -> 欧**远. Empty stays empty.
pub fn name(full: &str) -> String {
    let chars: Vec<char> = full.trim().chars().collect();
    match chars.as_slice() {
        [] => String::new(),
        [only] => only.to_string(),
        [first, _] => format!("{first}*"),
        [first, middle @ .., last] => format!("{first}{}{last}", "*".repeat(middle.len())),
    }
}

/// Keeps the first three and the last four digits of an eleven-digit number; anything else is hidden whole.
pub fn phone(number: &str) -> String {
    let digits: Vec<char> = number.trim().chars().collect();
    if digits.len() != 11 {
        return "*".repeat(digits.len().min(11));
    }
    digits.iter().enumerate().map(|(i, c)| if (3..7).contains(&i) { '*' } else { *c }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_and_numbers_are_masked() {
        for (full, shown) in [("张三", "张*"), ("张小三", "张*三"), ("欧阳明远", "欧**远"), ("张", "张"), ("", "")]
        {
            assert_eq!(super::name(full), shown);
        }
        assert_eq!(super::phone("13800000000"), "138****0000");
        assert_eq!(super::phone("12345"), "*****");
    }
}
