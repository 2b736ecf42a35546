package controllers

import (
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/gracefulapp/gracefulapp/internal/children"
)

// some tells whether is holds for the error, or for one of those that it joins.
func some(err error, is func(error) bool) bool { return slices.ContainsFunc(leaves(err), is) }

// leaves are the errors that an error joins, or the error itself.
func leaves(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, leaves(e)...)
	}
	return all
}

// textOf an error stands in one line.
func textOf(err error) string {
	var all []string
	for _, e := range leaves(err) {
		all = append(all, e.Error())
	}
	return strings.Join(all, "; ")
}

// rejected errors say that the same request will be refused again.
func rejected(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)
}

func isAltered(err error) bool { return errors.As(err, new(*children.AlteredError)) }

// isTransient tells whether the same request may succeed soon. A conflict only means that the cache was old.
func isTransient(err error) bool {
	return !rejected(err) && !isAltered(err) && !apierrors.IsConflict(err) && !isPutOff(err)
}

// isPutOff tells whether the write was one too many for the last minute.
func isPutOff(err error) bool { return errors.As(err, new(*tooManyWritesError)) }

// isRefused tells whether only another spec, or another policy, lets the request succeed.
func isRefused(err error) bool { return rejected(err) || isAltered(err) }

func isNotAltered(err error) bool { return !isAltered(err) }
