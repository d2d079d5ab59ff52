//! Reading, mapping and the state of imports.
