//! Reading lists page by page, without losing or doubling rows when somebody writes in the meantime.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, TryStreamExt, stream};
use indexmap::IndexMap;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answer, Call, Client};
use super::error::ApiError;

/// How often a list is read again because it changed while it was read.
const READINGS: usize = 3;
/// The orders of these readings. A database may return rows that are equal in the order differently for every page,
/// PostgreSQL does; names are equal in many flows, times hardly ever.
const ORDERS: [&str; READINGS] = ["CREATED_DESC", "NAME_ASC", "NAME_DESC"];
/// No workspace has more pages; a server that says so is wrong.
const MOST_PAGES: usize = 20_000;

/// One reading of a list.
struct Reading {
    rows: IndexMap<String, Value>,
    /// Whether nothing moved while it was read.
    settled: bool,
}

impl Client {
    /// All rows of a `…/paginate` endpoint. `filter` is the request's body without page, limit and order.
    ///
    /// A list that keeps changing is read three times and its readings are put together.
    pub async fn paginate(&self, path: &str, filter: &Value, what: &str) -> Result<Vec<Value>, ApiError> {
        let mut rows = IndexMap::new();
        for order in ORDERS {
            let mut filter = filter.clone();
            filter["sort"] = json!(order);
            let reading = self.read_pages(path, &filter, what).await?;
            if reading.settled {
                return Ok(reading.rows.into_values().collect());
            }
            rows.extend(reading.rows);
        }
        Ok(rows.into_values().collect())
    }

    async fn read_pages(&self, path: &str, filter: &Value, what: &str) -> Result<Reading, ApiError> {
        let first = self.page(path, filter, what, 1).await?;
        let count = number(&first, "count", path, what)?;
        let pages = count.div_ceil(self.page.load(Ordering::Relaxed));
        if pages > MOST_PAGES {
            return Err(Call::new(Method::POST, path, what).garbled(format!("it speaks of {count} rows")));
        }
        let rest: Vec<Value> =
            stream::iter(2..=pages).map(|page| self.page(path, filter, what, page)).buffered(2).try_collect().await?;
        let mut reading = Reading { rows: IndexMap::new(), settled: true };
        for mut page in std::iter::once(first).chain(rest) {
            reading.settled &= number(&page, "count", path, what)? == count;
            reading.add(rows(page["results"].take(), path, what)?, path, what)?;
        }
        reading.settled &= reading.rows.len() == count;
        Ok(reading)
    }

    async fn page(&self, path: &str, filter: &Value, what: &str, page: usize) -> Result<Value, ApiError> {
        let answer = self.limited(path, filter, what, |limit| json!({"page": page, "limit": limit})).await?;
        Ok(answer.body)
    }

    /// All rows of a `…/filter` endpoint. It gives no count: a doubled row is what betrays a change.
    pub async fn filter(&self, path: &str, filter: &Value, what: &str) -> Result<Vec<Value>, ApiError> {
        let mut all = IndexMap::new();
        for _ in 0..READINGS {
            let reading = self.read_offsets(path, filter, what).await?;
            if reading.settled {
                return Ok(reading.rows.into_values().collect());
            }
            all.extend(reading.rows);
        }
        Ok(all.into_values().collect())
    }

    /// The same, or nothing if the list seems to change, which it does to whoever cuts it into pages within a tie.
    pub async fn filter_settled(&self, path: &str, filter: &Value, what: &str) -> Result<Option<Vec<Value>>, ApiError> {
        let reading = self.read_offsets(path, filter, what).await?;
        Ok(reading.settled.then(|| reading.rows.into_values().collect()))
    }

    async fn read_offsets(&self, path: &str, filter: &Value, what: &str) -> Result<Reading, ApiError> {
        let mut reading = Reading { rows: IndexMap::new(), settled: true };
        let mut offset = 0;
        for _ in 0..MOST_PAGES {
            let answer = self.limited(path, filter, what, |limit| json!({"offset": offset, "limit": limit})).await?;
            let page = rows(answer.body, path, what)?;
            let length = page.len();
            offset += length;
            reading.add(page, path, what)?;
            reading.settled = reading.rows.len() == offset;
            if length < self.page.load(Ordering::Relaxed) {
                return Ok(reading);
            }
        }
        Err(Call::new(Method::POST, path, what).garbled("the list does not end"))
    }

    /// Sends a request with a limit, and a smaller one if the server allows fewer rows.
    async fn limited(
        &self,
        path: &str,
        filter: &Value,
        what: &str,
        window: impl Fn(usize) -> Value,
    ) -> Result<Answer, ApiError> {
        loop {
            let limit = self.page.load(Ordering::Relaxed);
            let mut body = filter.clone();
            if let (Value::Object(body), Value::Object(window)) = (&mut body, window(limit)) {
                body.extend(window);
            }
            match self.send(&Call::new(Method::POST, path, what).body(&body)).await {
                Err(ApiError::Refused { status: 422, detail, .. }) if allowed(&detail, limit).is_some() => {
                    self.page.store(allowed(&detail, limit).expect("just seen"), Ordering::Relaxed);
                }
                result => return result,
            }
        }
    }
}

impl Reading {
    fn add(&mut self, rows: Vec<Value>, path: &str, what: &str) -> Result<(), ApiError> {
        for row in rows {
            let id = row["id"].as_str().map(str::to_owned);
            let id = id.ok_or_else(|| Call::new(Method::POST, path, what).garbled("a row has no id"))?;
            self.rows.insert(id, row);
        }
        Ok(())
    }
}

fn rows(value: Value, path: &str, what: &str) -> Result<Vec<Value>, ApiError> {
    match value {
        Value::Array(rows) => Ok(rows),
        _ => Err(Call::new(Method::POST, path, what).garbled("it holds no list")),
    }
}

fn number(page: &Value, key: &str, path: &str, what: &str) -> Result<usize, ApiError> {
    let found = page[key].as_u64().and_then(|n| usize::try_from(n).ok());
    found.ok_or_else(|| Call::new(Method::POST, path, what).garbled(format!("it holds no `{key}`")))
}

/// The limit a server allows, from "Invalid limit: must be less than or equal to 50.", if that is less than ours.
fn allowed(detail: &str, limit: usize) -> Option<usize> {
    let (_, after) = detail.split_once("less than or equal to ")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|allowed| (1..limit).contains(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_limit_is_understood() {
        assert_eq!(allowed("Invalid limit: must be less than or equal to 50.", 100), Some(50));
        assert_eq!(allowed("Invalid limit: must be less than or equal to 200.", 100), None);
        assert_eq!(allowed("Invalid limit: must be less than or equal to 0.", 100), None);
        assert_eq!(allowed("something else", 100), None);
    }
}
