//! PubMed Central articles to case reports; licence and case gates.
