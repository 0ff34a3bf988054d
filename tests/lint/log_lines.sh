#!/usr/bin/env bash
# Every log line of the sources is in docs/operations.md, with its level and `…` for each value; and no line is there that
# the sources do not have.
set -euo pipefail
cd "${1:-.}"
manual=docs/operations.md
if [[ ! -f $manual ]]; then exit 0; fi
# shellcheck disable=SC2016  # what is in quotes is Perl's
find cmd lifecycle server tracker configs -name '*.[ch]pp' -print0 | sort -z | xargs -0 perl -0777 -CSD -Mutf8 -e '
    my $manual = shift;
    my (%logged, %known, $faults);
    my %word = (warn => "warning");
    my $plain = sub { $_[0] =~ s/"\s*"//gr =~ s/^"|"$//gr =~ s/\\(.)/$1/gr =~ s/\{[^{}]*\}/…/gr };
    my $text = qr/"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*/;
    for my $file (@ARGV) {
        open my $in, "<", $file or die "$file: $!";
        local $/; my $code = <$in>;
        $known{$plain->($1)} = 1 while $code =~ /($text)/g;
        while ($code =~ /(?:\.|->)(trace|debug|info|warn|error|critical)\(\s*($text)/g) {
            $logged{$plain->($2)}{$word{$1} // $1} = $file;
        }
    }
    open my $in, "<", $manual or die "$manual: $!";
    local $/; my $page = <$in>;
    my %written;
    $written{$2}{$1} = 1 while $page =~ /^\| (trace|debug|info|warning|error|critical) \| `([^`\n]+)` \|/mg;
    for my $line (sort keys %logged) {
        for my $level (sort keys %{$logged{$line}}) {
            next if $written{$line}{$level};
            print "log_lines: $manual does not have: | $level | `$line` | of $logged{$line}{$level}\n"; ++$faults;
        }
    }
    for my $line (sort keys %written) {
        next if $known{$line};
        print "log_lines: no source has what $manual has: `$line`\n"; ++$faults;
    }
    printf "log_lines: %d lines, %d faults\n", scalar keys %logged, $faults // 0;
    exit($faults ? 1 : 0);
' "$manual"
