import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'src/generated', 'coverage', '.holdfast', '**/*.cjs', '**/*.mjs', 'prisma.config.ts'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { property: '$queryRawUnsafe', message: 'Use the tagged template $queryRaw: it binds its values.' },
        { property: '$executeRawUnsafe', message: 'Use the tagged template $executeRaw: it binds its values.' },
        { object: 'Math', property: 'random', message: 'Randomness is passed in: take a `random` parameter.' },
      ],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      complexity: ['error', 15],
    },
  },
  { files: ['test/**'], rules: { 'max-lines-per-function': 'off' } },
  // Programs of others, who have no logger of ours.
  { files: ['examples/**'], rules: { 'no-console': 'off' } },
  {
    // type-graphql reads types at run time from decorators, where a type-only import would be erased.
    files: ['src/**/resolvers.ts', 'src/**/schema.ts'],
    rules: { '@typescript-eslint/consistent-type-imports': 'off' },
  },
);
