// Package look asks the cluster and shows what it answers: lists, one thing in
// full, the status, events as they happen. Nothing here changes anything.
package look
