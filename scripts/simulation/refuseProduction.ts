if (process.env.NODE_ENV === 'production') {
  process.stderr.write('simulation: it takes parts of the product away, and is refused with NODE_ENV=production.\n');
  process.exit(64);
}
