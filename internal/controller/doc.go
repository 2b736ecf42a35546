// Package controller has the controllers that kubebuilder creates for further kinds. GracefulApp's is in the package controllers
// (docs/decisions/controllers-directory.md).
package controller
