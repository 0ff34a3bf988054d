// Short links in SQLite with chi and go-sqlite3: the same as bench/newcomer/README.md asks of each.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	_ "github.com/mattn/go-sqlite3"
)

type link struct {
	URL    string `json:"url"`
	Code   string `json:"code"`
	Visits int    `json:"visits"`
}

type fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func answer(w http.ResponseWriter, status int, kind string, body any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, faults ...fault) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	answer(w, status, "application/problem+json", map[string]any{"title": http.StatusText(status), "status": status, "errors": faults})
}

func refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, sql.ErrNoRows) {
		problem(w, http.StatusNotFound)
		return
	}
	slog.Warn("no answer of the database", "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		problem(w, http.StatusGatewayTimeout)
	} else {
		problem(w, http.StatusServiceUnavailable)
	}
}

func isWebAddress(url string) bool {
	return (strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")) && len(url) <= 2000 &&
		strings.IndexFunc(url, func(each rune) bool { return each < '!' || each > '~' }) < 0
}

func post(data *sql.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var made link
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&made); err != nil {
			problem(w, http.StatusBadRequest)
			return
		}
		if !isWebAddress(made.URL) {
			problem(w, http.StatusUnprocessableEntity, fault{"/url", "http:// or https://, at most 2000 characters of a URL"})
			return
		}
		made.Visits = 0
		err := data.QueryRowContext(r.Context(), "INSERT INTO links (code, url) VALUES (lower(hex(randomblob(5))), ?) RETURNING code", made.URL).
			Scan(&made.Code)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Location", "/"+made.Code)
		answer(w, http.StatusCreated, "application/json", made)
	}
}

func follow(data *sql.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var url string
		err := data.QueryRowContext(r.Context(), "UPDATE links SET visits = visits + 1 WHERE code = ? RETURNING url", chi.URLParam(r, "code")).
			Scan(&url)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Location", url)
		w.WriteHeader(http.StatusFound)
	}
}

func look(data *sql.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var found link
		err := data.QueryRowContext(r.Context(), "SELECT url, code, visits FROM links WHERE code = ?", chi.URLParam(r, "code")).
			Scan(&found.URL, &found.Code, &found.Visits)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, http.StatusOK, "application/json", found)
	}
}

func setting(name, fallback string) string {
	if value, ok := os.LookupEnv(name); ok {
		return value
	}
	return fallback
}

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	data, err := sql.Open("sqlite3", setting("LINKS_FILE", "links.db")+"?_journal_mode=WAL")
	if err == nil {
		data.SetMaxOpenConns(1)
		_, err = data.Exec("CREATE TABLE IF NOT EXISTS links (code TEXT PRIMARY KEY, url TEXT NOT NULL, visits INTEGER NOT NULL DEFAULT 0)")
	}
	if err != nil {
		slog.Error("database", "error", err)
		os.Exit(1)
	}
	routes := chi.NewRouter()
	routes.Use(middleware.RequestID, middleware.Recoverer, middleware.Timeout(30*time.Second))
	routes.Post("/links", post(data))
	routes.Get("/links/{code}", look(data))
	routes.Get("/{code}", follow(data))
	routes.Get("/livez", func(w http.ResponseWriter, r *http.Request) {})
	routes.Get("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if stop.Err() != nil {
			problem(w, http.StatusServiceUnavailable)
		}
	})
	server := http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 120 * time.Second}
	listener, err := net.Listen("tcp", setting("LINKS_ADDRESS", ":8080"))
	if err != nil {
		slog.Error("listen", "error", err)
		os.Exit(1)
	}
	go server.Serve(listener)
	slog.Info("listening", "address", listener.Addr().String())
	<-stop.Done()
	drain, over := context.WithTimeout(context.Background(), 25*time.Second)
	defer over()
	err = server.Shutdown(drain)
	data.Close()
	if err != nil {
		slog.Error("cut", "error", err)
		os.Exit(3)
	}
}
