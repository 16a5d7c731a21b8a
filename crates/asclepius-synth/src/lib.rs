//! Report to note to instruction to answer, through a chat model.
