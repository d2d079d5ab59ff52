//! GoCD feeds: reading them, and writing them. The only place that knows GoCD's XML.
