package fuzz

// found are sequences that drawing has found, reduced to their core, each with the fault that it showed.
var found = []struct {
	fault string
	steps []step
}{}
