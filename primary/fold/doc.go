// Package fold is what the primary does with a message, and nothing of how it
// comes or where it is kept: pure functions from (what is known of the touched
// things, message) to changes. It has no clock, no network and no logger, and
// imports event, fault and the subject grammar only. DESIGN.md beside it says
// what folding promises and why it can.
//
// A batch is folded in three steps. Needs says what has to be known, the store
// loads it into a Known, and Fold is called for each message in stream order;
// it collects Changes, which the store writes in one transaction with the
// cursor.
package fold
