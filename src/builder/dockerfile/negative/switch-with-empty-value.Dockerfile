FROM debian
ADD --keep-git-dir= https://example.com/a.git /b
