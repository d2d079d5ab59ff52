//! `POST /hooks/NAME`: webhooks of CI systems, from the signature to the record.

mod answers;
mod configured;
mod kill;
mod load;
mod one_record;
mod page;
mod place;
