#!/usr/bin/env bash
# Every log line of the sources is in docs/operations.md, with its level and `…` for each value; and no line is there that
# the sources do not have. Its values have names, each of them a field of docs/log.schema.json and of the manual's table.
# In a copy, what is logged below cmd is the copy's to say as it likes.
set -euo pipefail
cd "${1:-.}"
manual=docs/operations.md
if [[ ! -f $manual ]]; then exit 0; fi
# shellcheck disable=SC2016  # what is in quotes is Perl's
find cmd lifecycle server tracker configs -name '*.[ch]pp' -print0 | sort -z | xargs -0 perl -0777 -CSD -Mutf8 -e '
    my $manual = shift;
    my (%logged, %known, %named, $faults);
    my $theirs = -e "skeleton.lock" ? qr{^cmd/} : qr{^$};
    my %word = (warn => "warning");
    my $plain = sub { $_[0] =~ s/"\s*"//gr =~ s/^"|"$//gr =~ s/\\(.)/$1/gr =~ s/\{[^{}]*\}/…/gr };
    my $text = qr/"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*/;
    for my $file (@ARGV) {
        open my $in, "<", $file or die "$file: $!";
        local $/; my $code = <$in>;
        $known{$plain->($1)} = 1 while $code =~ /($text)/g;
        next if $file =~ $theirs;
        while ($code =~ /(\S?)\s*(?:\.|->)(trace|debug|info|warn|error|critical)\(\s*($text)/g) {
            my ($before, $level, $line) = ($1, $2, $3);
            $logged{$plain->($line)}{$word{$level} // $level} = $file;
            if ($before ne ")" && $line =~ /\{/) {
                print "log_lines: $file: values without names, lifecycle::lines(log).$level(…) gives them some: $line\n"; ++$faults;
            }
            $named{$1} = $file while $line =~ /\{([a-z0-9_]+)\}/g;
        }
        $named{$1} = $file while $code =~ /log_fact(?:::of_\w+)?[({]"(\w+)"/g;
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
    my %schema;
    if (open my $in, "<", "docs/log.schema.json") {
        my ($properties) = <$in> =~ /"properties": \{(.*)/s;
        while ($properties =~ /^    "(\w+)": \{/mg) {
            if ($schema{$1}++) { print "log_lines: docs/log.schema.json has the field $1 twice\n"; ++$faults; }
        }
    }
    my %field;
    while ($page =~ /^\| `(\w+)` \| (?:string|integer|number|object)[a-z ]* \| /mg) {
        if ($field{$1}++) { print "log_lines: $manual has the field $1 twice\n"; ++$faults; }
    }
    for my $name (sort keys %named) {
        next if $schema{$name} || !%schema;
        print "log_lines: docs/log.schema.json does not have the field $name of $named{$name}\n"; ++$faults;
    }
    for my $name (sort keys %{{%schema, %field}}) {
        next if $schema{$name} && $field{$name};
        print "log_lines: docs/log.schema.json and $manual do not both have the field $name\n"; ++$faults;
    }
    printf "log_lines: %d lines, %d faults\n", scalar keys %logged, $faults // 0;
    exit($faults ? 1 : 0);
' "$manual"
